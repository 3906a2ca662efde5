#include "index/flat_best.h"

#include <algorithm>

#include "base/error.h"

namespace akin::index {
namespace {

constexpr size_t kLeastSpare = 16;

size_t capacity_for(size_t queries, size_t k) {
  const size_t capacity = k + std::max(k, kLeastSpare);
  if (k > std::numeric_limits<uint32_t>::max() || capacity > (uint64_t{1} << 40) / queries) {
    throw_error(ErrorKind::usage, "search",
                "the best {} of {} queries do not fit into memory; ask for fewer", k, queries);
  }
  return capacity;
}

}  // namespace

BestKeys::BestKeys(size_t queries, size_t k)
    : k_(k),
      capacity_(capacity_for(queries, k)),
      keys_(queries * capacity_),
      thresholds_(queries, -std::numeric_limits<float>::infinity()),
      sizes_(queries, 0) {}

void BestKeys::settle(size_t query, uint64_t* scratch) {
  if (sizes_[query] < k_) return;
  uint64_t* const keys = keys_.data() + query * capacity_;
  thresholds_[query] = score_of(move_largest_to_front(keys, sizes_[query], k_, scratch));
  sizes_[query] = static_cast<uint32_t>(k_);
}

std::vector<uint64_t> BestKeys::sorted(size_t query) const {
  const auto all = keys(query);
  std::vector<uint64_t> out(all.begin(), all.end()), spare(all.size() + kSelectPadding);
  if (out.size() > k_) {
    move_largest_to_front(out.data(), out.size(), k_, spare.data());
    out.resize(k_);
  }
  sort_falling(out.data(), out.size(), spare.data());
  return out;
}

}  // namespace akin::index
