// Attention over packed tokens in torch operations: texts are put together by length, so that one
// product serves many. On the CPU only texts of equal length meet and nothing is padded; elsewhere
// near lengths meet and the rest is masked.
//
// Shapes: T tokens in all, H heads, d head_dim, n texts of a group, L its longest text.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/arch_spec.h"
#include "core/token_batch.h"
#include "nn/torch_dropout.h"

namespace akin::nn {

class TorchAttention {
 public:
  struct Args {
    at::Tensor qkv;            // [T, 3, H, d]
    at::Tensor relative_bias;  // [buckets, H], or undefined
    bool local = false;        // this layer sees a window only
    double dropout = 0;        // of the attention weights
    DropoutSeed seed;
    uint64_t place = 0;
  };

  // Groups the batch's texts; the result serves every layer. Tensors that do not depend on the
  // layer are made here, in `like`'s dtype and on its device.
  TorchAttention(const ArchSpec& arch, const TokenBatch& batch, const at::Tensor& like);
  at::Tensor run(const Args& args) const;  // [T, H, d]

 private:
  struct Group {
    int64_t length = 0;
    std::vector<uint64_t> texts;
    at::Tensor rows;           // [n * L] token of each place, 0 where there is none
    at::Tensor padding;        // [n, 1, 1, L] 0 or -inf; undefined where all have length L
    at::Tensor bias;           // [H, L, L] ALiBi, or undefined
    at::Tensor relative_rows;  // [L * L], or undefined
    at::Tensor window;         // [L, L], or undefined
  };
  Group make_group(const TokenBatch& batch, std::vector<uint64_t> texts, const at::Tensor& like,
                   std::vector<int64_t>& place_of) const;
  at::Tensor total_bias(const Group& group, const Args& args) const;
  at::Tensor attend(const Group& group, const Args& args) const;

  const ArchSpec arch_;
  std::vector<Group> groups_;
  at::Tensor places_;  // [T]: where each token lies among the groups' places; undefined: in order
};

}  // namespace akin::nn
