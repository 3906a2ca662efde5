// One step by several processes: each encodes its part of the batch, all see the loss of the whole
// batch, and the gradients are summed. Because every process computes the whole loss from the
// vectors of all and keeps the gradient of its own, the sum is the gradient that one process would
// have: negatives across processes cost nothing more (as in GradCache, arXiv:2101.06983, 3.2).
//
// Shapes: B texts of the batch, E embedding dim.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/token_batch.h"
#include "nn/text_model.h"
#include "train/distributed.h"

namespace akin::train {

// Process r encodes texts [out[r], out[r + 1]), about as many tokens as every other. Runs of the
// batch's own order: text b keeps its dropout mask, which hangs on its number. Errors: usage (fewer
// texts than processes).
std::vector<size_t> portions(const TokenBatch& texts, size_t processes);

// [B, E]: the vectors of all texts; of the process's own part, `own` with its graph.
at::Tensor join_vectors(Group& group, const at::Tensor& own, const std::vector<size_t>& portions);

// Every gradient becomes the sum over the processes. One that no process has stays undefined, and
// sparse rows stay sparse: the rows that any process used, each once, ascending. Frozen parameters
// have none.
void sum_gradients(Group& group, std::vector<nn::Parameter>& parameters);

}  // namespace akin::train
