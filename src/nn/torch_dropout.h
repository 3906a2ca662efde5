// Dropout whose mask is a function of numbers, not of a generator's state: text b drops the same
// elements whatever batch, chunk or device it is in, so a forward pass can be repeated exactly.
//
// Shapes: B texts, T tokens in all.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/token_batch.h"

namespace akin::nn {

struct DropoutSeed {
  uint64_t seed = 0;        // of the step; 0: no dropout
  uint64_t first_text = 0;  // number of text 0 of the batch in its whole batch
};

// A number for every row at one place of the network: `blocks` (heads) of rows_per_text[i] rows
// for each of `texts`. int32 [sum of rows], on the CPU.
at::Tensor dropout_keys(const DropoutSeed& seed, const std::vector<uint64_t>& texts,
                        const std::vector<int64_t>& rows_per_text, int64_t blocks, uint64_t place);
// The usual case: one row per token, texts of a batch in order.
at::Tensor dropout_keys(const DropoutSeed& seed, const TokenBatch& batch, uint64_t place);

// x / (1 - p) where kept, 0 where dropped, with probability p each. x: [..., C]; keys: int32, one
// per row of x, on x's device. Undefined keys: x.
at::Tensor drop(const at::Tensor& x, const at::Tensor& keys, double p);

}  // namespace akin::nn
