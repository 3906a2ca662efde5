// Row-wise work between the products: norms, rotary positions, gates, sums, and the dot products of
// search.
//
// Shapes: T rows (tokens), D hidden.
#pragma once

#include <cstddef>
#include <span>

#include "base/mat.h"
#include "core/arch_spec.h"

namespace akin::kernels {

// out = (x - mean) / sqrt(var + eps) * gamma + beta per row, biased variance (Ba et al.,
// arXiv:1607.06450). beta may be null. In place is fine.
void layer_norm(MatView<const float> x, const float* gamma, const float* beta, float eps,
                MatView<float> out);
// out = x / sqrt(mean(x^2) + eps) * gamma (Zhang and Sennrich, arXiv:1910.07467).
void rms_norm(MatView<const float> x, const float* gamma, float eps, MatView<float> out);

// out[i] += x[i] * factor.
void add_scaled(const float* x, float factor, std::span<float> out);
void multiply(std::span<float> x, float factor);
float dot(const float* a, const float* b, size_t n);

// out = act(gate) * up, row by row; gate and up are the halves of one [T, 2 F] matrix or separate
// ones.
void gated(MatView<const float> gate, MatView<const float> up, Activation activation,
           MatView<float> out);
void activate(std::span<float> x, Activation activation);

// Rotates head h of row t in place by the angles of position t (Su et al., arXiv:2104.09864).
// cos, sin: [T, rotary_dim / 2]. Pairs are (i, i + rotary_dim / 2), or (2 i, 2 i + 1) when
// interleaved.
void rotary(MatView<float> x, size_t heads, size_t head_dim, size_t rotary_dim, bool interleaved,
            MatView<const float> cosine, MatView<const float> sine);

}  // namespace akin::kernels
