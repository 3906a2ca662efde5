// Backward passes of the row-wise work of elementwise.h: norms, activations, gates, biases. Weight
// gradients are added to, input gradients written.
//
// Shapes: T rows (tokens), D hidden, F ffn.
#pragma once

#include <cstddef>

#include "base/mat.h"
#include "core/arch_spec.h"

namespace akin::kernels {

// dx from dy at y = layer_norm(x); d_gamma [D] += sum dy * (x - mean) / sigma, d_beta [D] += sum
// dy; either may be null. dx may be dy.
void layer_norm_backward(MatView<const float> x, const float* gamma, float eps,
                         MatView<const float> dy, MatView<float> dx, float* d_gamma, float* d_beta);
void rms_norm_backward(MatView<const float> x, const float* gamma, float eps,
                       MatView<const float> dy, MatView<float> dx, float* d_gamma);

// y = act(x).
void activation_forward(MatView<const float> x, Activation activation, MatView<float> y);
// At y = act(x): writes y again and dx = dy * act'(x), which may be dy. act' is within 1e-6 of the
// derivative.
void activation_backward(MatView<const float> x, Activation activation, MatView<const float> dy,
                         MatView<float> y, MatView<float> dx);
// At y = act(gate) * up, x = [gate, up] [T, 2 F]: writes y again and dx [T, 2 F].
void gated_backward(MatView<const float> x, Activation activation, MatView<const float> dy,
                    MatView<float> y, MatView<float> dx);

// out[c] += sum_t x[t, c]: a bias's gradient.
void add_column_sums(MatView<const float> x, float* out);
// out = a + b.
void add_rows(MatView<const float> a, MatView<const float> b, MatView<float> out);
// out[i] += x[i].
void accumulate(const float* x, size_t n, float* out);

}  // namespace akin::kernels
