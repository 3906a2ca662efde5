// What the evaluators ask of their input before they compute: sizes that agree, numbers that are
// numbers. Not a general validation layer: one function a question, all throwing ErrorKind::usage.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/mat.h"

namespace akin::eval {

inline void check_same_size(size_t got, size_t expected, std::string_view where,
                            std::string_view what) {
  if (got != expected) {
    throw_error(ErrorKind::usage, where, "{}: got {} values, expected {}, one for each row", what,
                got, expected);
  }
}

inline void check_rows(size_t rows, size_t least, std::string_view where) {
  if (rows < least) {
    throw_error(ErrorKind::usage, where, "got {} rows, expected at least {}; is the split empty?",
                rows, least);
  }
}

inline void check_finite(std::span<const double> values, std::string_view where,
                         std::string_view what) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      throw_error(ErrorKind::usage, where,
                  "{} of row {} is {}, expected a finite number; look for empty or broken "
                  "embeddings and labels",
                  what, i, values[i]);
    }
  }
}

// Rows [begin, end).
inline void check_finite(MatView<const float> x, size_t begin, size_t end, std::string_view where,
                         std::string_view what) {
  for (size_t r = begin; r < end; ++r) {
    const float* row = x.row(r);
    uint32_t broken = 0;  // all exponent bits set: an infinity or a NaN
    for (size_t c = 0; c < x.cols(); ++c) {
      constexpr uint32_t kExponent = 0x7F800000U;
      broken |= (std::bit_cast<uint32_t>(row[c]) & kExponent) == kExponent ? 1U : 0U;
    }
    if (broken == 0) continue;
    throw_error(ErrorKind::usage, where,
                "{}: row {} holds a value that is not finite; the model gave a broken embedding "
                "for it",
                what, r);
  }
}
inline void check_finite(MatView<const float> x, std::string_view where, std::string_view what) {
  check_finite(x, 0, x.rows(), where, what);
}

}  // namespace akin::eval
