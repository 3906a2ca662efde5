// The best k documents of each query so far. Internal to index/: what exact search (flat.h) adds
// scores to, by whichever way it found them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/mat.h"
#include "index/flat_select.h"

namespace akin::index {

// Documents of one query are added by one thread at a time. Memory: 16 bytes * queries * k.
class BestKeys {
 public:
  // k > 0. Errors: usage where the keys do not fit into memory.
  BestKeys(size_t queries, size_t k);

  size_t queries() const { return sizes_.size(); }
  size_t k() const { return k_; }
  size_t scratch_keys() const { return capacity_ + kSelectPadding; }  // room that add() wants

  // A document that scores less is not among the best; not settled: it may be lower than need be.
  float threshold(size_t query) const { return thresholds_[query]; }
  const float* thresholds() const { return thresholds_.data(); }

  void add(size_t query, float score, uint32_t rank, uint64_t* scratch) {
    keys_[query * capacity_ + sizes_[query]] = make_key(score, rank);
    if (++sizes_[query] == capacity_) settle(query, scratch);
  }
  // Whether add_run may be called.
  bool takes_runs() const { return capacity_ - k_ >= kSelectMost; }
  // add() for each of n <= kSelectMost documents that scores enough.
  void add_run(size_t query, const float* scores, const uint32_t* ranks, size_t n,
               uint64_t* scratch) {
    if (sizes_[query] + n > capacity_) settle(query, scratch);
    uint64_t* end = keys_.data() + query * capacity_ + sizes_[query];
    sizes_[query] += static_cast<uint32_t>(append_keys(scores, ranks, thresholds_[query], n, end));
    if (sizes_[query] == capacity_) settle(query, scratch);
  }
  // Leaves at most k keys, and the threshold is the k-th best score when there are k.
  void settle(size_t query, uint64_t* scratch);

  std::span<const uint64_t> keys(size_t query) const {  // in no order
    return {keys_.data() + query * capacity_, sizes_[query]};
  }
  std::vector<uint64_t> sorted(size_t query) const;  // the best, falling

 private:
  size_t k_, capacity_;
  AlignedArray<uint64_t> keys_;  // [queries, capacity]; memory is taken as it fills
  std::vector<float> thresholds_;
  std::vector<uint32_t> sizes_;
};

}  // namespace akin::index
