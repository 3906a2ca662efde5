// Positions for torch operations: the tables of kernels/positions.h as tensors, and the rotation.
//
// Shapes: L tokens of the longest text, H heads.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/arch_spec.h"

namespace akin::nn {

// cos and sin of the angles of positions 0..L-1, [L, rotary_dim / 2], float32 on the CPU.
struct RotaryAngles {
  at::Tensor cosine, sine;
};
RotaryAngles rotary_angles(int64_t length, int64_t dim, double base);

// Rotates the heads of x, [T, H, d]; cosine and sine: [T, 1, dim / 2].
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine,
                  bool interleaved);

// -slope_h |i - j|, [H, L, L], float32 on the CPU.
at::Tensor alibi_bias(int64_t length, int64_t heads);
// Row of the relative bias table for each pair (i, j), int64 [L * L], on the CPU.
at::Tensor relative_bias_rows(int64_t length, int64_t buckets, int64_t max_distance);
// 0 where |i - j| <= window / 2, else -infinity, [L, L], float32 on the CPU.
at::Tensor window_bias(int64_t length, int64_t window);

}  // namespace akin::nn
