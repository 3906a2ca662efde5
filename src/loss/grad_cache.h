// GradCache (arXiv:2101.06983): the gradient of a loss over a batch too large to keep the
// activations of. Vectors first, without a graph; the loss and its gradient with respect to them;
// then chunk by chunk again with a graph. Exact, up to rounding, when encode replays its dropout.
#pragma once

#include <functional>

#include "loss/loss.h"

namespace akin::loss {

// Embeds chunk `chunk`, with a graph or without; both calls give the same values: dropout is
// replayed by the caller's seeds. Returns [rows of the chunk, E].
using ChunkEncoder = std::function<at::Tensor(size_t chunk, bool with_graph)>;
// From the vectors of all chunks, one below the other, to the loss.
using LossOfVectors = std::function<LossOutput(const at::Tensor& vectors)>;

// Leaves the gradient in the leaves of encode's graph, as backward() would. Returns the loss,
// detached.
LossOutput grad_cache(size_t chunks, const ChunkEncoder& encode, const LossOfVectors& loss);

}  // namespace akin::loss
