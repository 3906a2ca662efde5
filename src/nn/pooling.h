// From token vectors to one vector per text, with gradients: pooling without padding, then the
// folder's Dense heads. Definitions of engine/pool.h.
//
// Shapes: B texts, T tokens in all, D hidden, E embedding dim.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/threads.h"
#include "core/token_batch.h"
#include "model/model.h"
#include "nn/named_tensors.h"

namespace akin::nn {

// tokens: [T, D] -> [B, modes * D]. Rows of float32 on the CPU are read once, by the pool's
// threads; anything else goes through torch operations.
at::Tensor pool_tokens(const PoolingSpec& spec, const at::Tensor& tokens, const TokenBatch& batch,
                       ThreadPool& pool);

// The heads in order, a Normalize at the end left out: losses and callers normalise.
at::Tensor apply_heads(const model::Model& model, const NamedTensors& weights, at::Tensor pooled);

}  // namespace akin::nn
