// Matrices of random numbers for tests.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/mat.h"
#include "base/rng.h"

namespace akin {

// Normal numbers of deviation `scale`, the same ones for the same seed.
inline Mat<float> random_mat(size_t rows, size_t cols, uint64_t seed, double scale = 1) {
  Mat<float> out(rows, cols);
  Rng rng(seed);
  for (size_t i = 0; i < rows * cols; ++i) {
    out.data()[i] = static_cast<float>(scale * rng.normal());
  }
  return out;
}

}  // namespace akin
