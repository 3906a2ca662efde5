// Random unit vectors for this room's tests, their first dims the largest as in Matryoshka models.
#pragma once

#include <cmath>

#include "base/mat.h"
#include "base/rng.h"

namespace akin::index {

// [rows, dims]; the standard deviation of dim d is 1 / (1 + d / decay) before the row is
// normalised.
inline Mat<float> decaying_unit_rows(size_t rows, size_t dims, uint64_t seed, double decay) {
  Mat<float> out(rows, dims);
  Rng rng(seed);
  for (size_t r = 0; r < rows; ++r) {
    double squares = 0;
    for (size_t d = 0; d < dims; ++d) {
      out(r, d) = static_cast<float>(rng.normal() / (1.0 + static_cast<double>(d) / decay));
      squares += double{out(r, d)} * out(r, d);
    }
    for (size_t d = 0; d < dims; ++d) out(r, d) /= static_cast<float>(std::sqrt(squares));
  }
  return out;
}

}  // namespace akin::index
