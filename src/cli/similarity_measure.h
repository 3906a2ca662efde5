// How alike two vectors are, in the four words that model folders use. Higher is more alike:
// distances are negated.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"

namespace akin::cli {

enum class Measure : uint8_t { automatic, cosine, dot, euclidean, manhattan };

inline std::span<const std::string_view> choices(Measure) {
  static constexpr std::string_view kWords[] = {"auto", "cosine", "dot", "euclidean", "manhattan"};
  return kWords;
}

// auto: the model's own word, cosine when it says nothing known.
inline Measure resolve_measure(Measure asked, std::string_view model_word) {
  if (asked != Measure::automatic) return asked;
  const auto words = choices(asked);
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i] == model_word) return static_cast<Measure>(i);
  }
  return Measure::cosine;
}

// Sixteen sums side by side, so that the compiler may use vector registers without reordering
// anything.
template <typename Term>
float sum_terms(const float* a, const float* b, size_t dims, Term term) {
  float lanes[16] = {};
  size_t d = 0;
  for (; d + 16 <= dims; d += 16) {
    for (size_t l = 0; l < 16; ++l) lanes[l] += term(a[d + l], b[d + l]);
  }
  float tail = 0;
  for (; d < dims; ++d) tail += term(a[d], b[d]);
  for (const float lane : lanes) tail += lane;
  return tail;
}

inline float measure(Measure kind, const float* a, const float* b, size_t dims) {
  const auto product = [](float x, float y) { return x * y; };
  switch (kind) {
    case Measure::dot:
      return sum_terms(a, b, dims, product);
    case Measure::euclidean:
      return -std::sqrt(sum_terms(a, b, dims, [](float x, float y) { return (x - y) * (x - y); }));
    case Measure::manhattan:
      return -sum_terms(a, b, dims, [](float x, float y) { return std::fabs(x - y); });
    default: {
      const float norms =
          std::sqrt(sum_terms(a, a, dims, product)) * std::sqrt(sum_terms(b, b, dims, product));
      return norms > 0 ? sum_terms(a, b, dims, product) / norms : 0.0F;
    }
  }
}

}  // namespace akin::cli
