// Dividing texts into micro-batches: whole texts, of near lengths, up to a budget of tokens; and
// gathering one as a TokenBatch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/token_batch.h"
#include "kernels/linear.h"

namespace akin::engine {

// Numbers of texts per micro-batch, longest texts first. A text over the budget stands alone; texts
// whose products take different forms (kernels::operand_backend) do not meet. Every text appears
// once.
std::vector<std::vector<uint32_t>> plan_batches(const TokenBatch& all, size_t token_budget,
                                                kernels::Backend weights);

void gather(const TokenBatch& all, std::span<const uint32_t> texts, TokenBatch& out);

}  // namespace akin::engine
