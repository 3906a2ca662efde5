// Symmetric int8 quantisation of one row, the same for weights ahead of time and activations on the
// fly.
#pragma once

#include <cstddef>
#include <cstdint>

namespace akin::kernels {

// q = round(127 x / max|x|), ties to even; returns the scale max|x| / 127, or 0 (and zeros) for a
// row that is zero or not finite.
float quantize_row(const float* x, size_t k, int8_t* q);

}  // namespace akin::kernels
