// Gradients of attention.h, tiled like it: the weights are computed again from the rows' log sums,
// so memory does not grow with the square of the length. Follows Dao, arXiv:2307.08691,
// algorithm 2.
//
// Shapes: L tokens of the text, H heads, d head_dim.
#pragma once

#include "kernels/attention.h"

namespace akin::kernels {

struct AttentionGradientArgs {
  // As in the forward pass; `out` and `log_sums` hold its results. Rows of q, k, v and d_out must
  // be readable 16 floats past their end.
  AttentionArgs forward;
  MatView<const float> d_out;  // [L, H d]
  MatView<float> dq, dk, dv;   // [L, H d], written
  // By distance, laid out as `bias`: d_bias[h * bias_stride + bias_center + (j - i)] += ...; null
  // for none. Writable 16 floats past its end (zeros are added there).
  float* d_bias = nullptr;
  size_t bias_stride = 0, bias_center = 0;
};

struct AttentionGradientScratch {
  AlignedArray<float> keys, values, weights, gradients, dq, dk, dv, levels;
};

// One head of one text.
void attention_backward(const AttentionGradientArgs& args, size_t head,
                        AttentionGradientScratch& scratch);

}  // namespace akin::kernels
