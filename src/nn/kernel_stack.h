// The CPU's transformer (cpu_stack.h) as one torch autograd function: packed weights are kept
// between parameter changes, the token table's gradient comes as sparse rows.
//
// Shapes: T tokens in all, D hidden, V vocabulary.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "base/threads.h"
#include "core/token_batch.h"
#include "nn/cpu_stack.h"
#include "nn/named_tensors.h"
#include "nn/torch_dropout.h"

namespace akin::nn {

class KernelStack {
 public:
  // Errors: those of CpuStack::make. The pool outlives this object.
  KernelStack(const ArchSpec& arch, const StackOptions& options, ThreadPool& pool);
  ~KernelStack();
  KernelStack(const KernelStack&) = delete;
  KernelStack& operator=(const KernelStack&) = delete;

  void weights_changed() { packed_ = false; }
  // [T, D]. `weights`: float32 on the CPU, contiguous; those that the stack does not read are left
  // alone. Backward has to come before the weights change.
  at::Tensor forward(const NamedTensors& weights, const TokenBatch& batch, const DropoutSeed& seed);

 private:
  class TokenGradient;
  const ArchSpec arch_;
  ThreadPool& pool_;
  std::shared_ptr<CpuStack> stack_;  // shared with graphs
  std::shared_ptr<TokenGradient> token_gradient_;
  bool packed_ = false;
};

}  // namespace akin::nn
