#include "engine/pack.h"

#include <algorithm>
#include <numeric>

namespace akin::engine {

std::vector<std::vector<uint32_t>> plan_batches(const TokenBatch& all, size_t token_budget,
                                                kernels::Backend weights) {
  std::vector<uint32_t> order(all.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return all.text(a).size() > all.text(b).size(); });
  std::vector<std::vector<uint32_t>> batches;
  size_t tokens = token_budget;
  kernels::Backend operand = weights;
  for (const uint32_t text : order) {
    const size_t length = all.text(text).size();
    const kernels::Backend own = kernels::operand_backend(weights, length);
    if (batches.empty() || tokens + length > token_budget || own != operand) {
      batches.emplace_back();
      tokens = 0;
      operand = own;
    }
    batches.back().push_back(text);
    tokens += length;
  }
  return batches;
}

void gather(const TokenBatch& all, std::span<const uint32_t> texts, TokenBatch& out) {
  out.ids.clear();
  out.offsets.assign(1, 0);
  out.prompt_tokens.clear();
  out.adapters.clear();
  for (const uint32_t text : texts) {
    const auto ids = all.text(text);
    out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    out.offsets.push_back(static_cast<uint32_t>(out.ids.size()));
    out.prompt_tokens.push_back(all.prompt_tokens[text]);
    if (!all.adapters.empty()) out.adapters.push_back(all.adapters[text]);
  }
}

}  // namespace akin::engine
