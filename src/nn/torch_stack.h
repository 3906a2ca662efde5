// The transformer in plain torch operations over packed tokens: every architecture that
// engine/forward.cc runs, differentiable, on any device and in any float type. What GPUs run, and
// the reference that the kernels' path is tested against.
//
// Shapes: B texts, T tokens in all, D hidden.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/arch_spec.h"
#include "core/token_batch.h"
#include "nn/cpu_stack.h"
#include "nn/named_tensors.h"
#include "nn/torch_dropout.h"

namespace akin::nn {

class TorchStack {
 public:
  // `sparse_tokens`: the gradient of embed.token comes as sparse rows.
  TorchStack(const ArchSpec& arch, const StackOptions& options, bool sparse_tokens)
      : arch_(arch), options_(options), sparse_tokens_(sparse_tokens) {}

  // The last layer's token vectors, [T, D], in the weights' type. seed.seed 0: no dropout.
  at::Tensor forward(const NamedTensors& weights, const TokenBatch& batch,
                     const DropoutSeed& seed) const;

 private:
  const ArchSpec arch_;
  const StackOptions options_;
  const bool sparse_tokens_;
};

}  // namespace akin::nn
