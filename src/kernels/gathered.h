// Products of one vector with a few rows from anywhere in a matrix, to the bit as a product of many
// with many would give them: for a search that has ruled out the others. Not that product
// (linear.h), and no choice of the rows.
//
// Shapes: D dims, N rows of x's partners.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/mat.h"

namespace akin::kernels {

// The depth that PackedLinear sums in f32 before it adds the sum to those of earlier pieces.
inline constexpr size_t kLinearPiece = 128;

// out[i] = x . rows[ids[i]]: one chain of multiply-adds for each piece of the depth, the pieces'
// sums added in order, zero added last. rows: [any, D]; x: D floats. With kLinearPiece the value is
// that of Backend::simd_f32 on the active instruction set.
void gathered_products(const float* x, MatView<const float> rows, std::span<const uint32_t> ids,
                       size_t piece, float* out);
// The same in float64, one chain over the whole depth.
void gathered_products(const double* x, MatView<const float> rows, std::span<const uint32_t> ids,
                       double* out);

}  // namespace akin::kernels
