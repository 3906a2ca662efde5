// Scaled dot-product attention of one text, tiled with a running softmax: memory does not grow with
// the square of the length. Follows Milakov and Gimelshein 2018 (online softmax) and Dao et al.,
// arXiv:2205.14135 (tiles).
//
// Shapes: L tokens of the text, H heads, d head_dim. out[i, h] = sum_j softmax_j(scale q_ih . k_jh
// + bias_h(j - i)) v_jh
#pragma once

#include <cstddef>

#include "base/mat.h"
#include "kernels/dropout.h"

namespace akin::kernels {

struct AttentionArgs {
  // [L, H d] each, head h in columns [h d, (h + 1) d). Rows of v must be readable 16 floats past
  // their end.
  MatView<const float> q, k, v;
  MatView<float> out;  // [L, H d]
  size_t heads = 0, head_dim = 0;
  float scale = 1;
  // Position bias by distance: head h adds bias[h * bias_stride + bias_center + (j - i)]; null for
  // none. Readable 16 floats past its end.
  const float* bias = nullptr;
  size_t bias_stride = 0, bias_center = 0;
  size_t window = 0;  // > 0: only |i - j| <= window / 2 is seen (local attention)
  // For training. log_sums: receives log(sum_j exp(scores)) of row i, head h at [i * heads + h].
  // dropout of the weights after the softmax: element (h * L + i) * L + j.
  float* log_sums = nullptr;
  const Dropout* dropout = nullptr;
};

struct AttentionScratch {
  AlignedArray<float> keys, values, scores, sums, state;
};

inline constexpr size_t kQueryChunk =
    512;  // queries handed out at a time: the unit for dividing a long text among threads

// Rows [query_begin, query_end) of head `head`. The result does not depend on how rows are divided,
// as long as query_begin is a multiple of kQueryChunk.
void attention(const AttentionArgs& args, size_t head, size_t query_begin, size_t query_end,
               AttentionScratch& scratch);

}  // namespace akin::kernels
