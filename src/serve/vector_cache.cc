#include "serve/vector_cache.h"

#include <random>

#include "base/hash.h"

namespace akin::serve {

size_t KeyHash::operator()(std::string_view key) const {
  static const uint64_t seed = [] {
    std::random_device device;
    return (uint64_t{device()} << 32) | device();
  }();
  return hash64(key, seed);
}

size_t VectorCache::cost(const Entry& entry) {
  constexpr size_t kNodes = 160;  // list and table nodes, allocator's share
  return entry.key.size() + entry.vector.size() * sizeof(float) + kNodes;
}

bool VectorCache::get(std::string_view key, std::vector<float>& out) {
  const std::lock_guard lock(mutex_);
  const auto it = by_key_.find(key);
  if (it == by_key_.end()) {
    ++counts_.misses;
    return false;
  }
  ++counts_.hits;
  entries_.splice(entries_.begin(), entries_, it->second);
  out = it->second->vector;
  return true;
}

void VectorCache::put(std::string_view key, std::span<const float> vector) {
  const std::lock_guard lock(mutex_);
  if (by_key_.contains(key)) return;
  entries_.push_front({std::string(key), {vector.begin(), vector.end()}});
  by_key_.emplace(entries_.front().key, entries_.begin());
  counts_.bytes += cost(entries_.front());
  while (counts_.bytes > max_bytes_) {
    counts_.bytes -= cost(entries_.back());
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
  counts_.entries = entries_.size();
}

VectorCache::Counts VectorCache::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace akin::serve
