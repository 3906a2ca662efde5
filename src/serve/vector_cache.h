// Vectors of texts seen before, by what makes them: token ids, prompt, adapter. Least recently used
// goes first; bounded in bytes. One per model: it is emptied when another model takes the place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace akin::serve {

// Keys come from clients: hashed with a seed drawn at start, so that nobody can choose collisions.
struct KeyHash {
  size_t operator()(std::string_view key) const;
};

class VectorCache {
 public:
  explicit VectorCache(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Thread-safe. `out`: the vector; left alone where there is none.
  bool get(std::string_view key, std::vector<float>& out);
  void put(std::string_view key, std::span<const float> vector);

  struct Counts {
    uint64_t entries = 0, bytes = 0, hits = 0, misses = 0;
  };
  Counts counts() const;

 private:
  struct Entry {
    std::string key;
    std::vector<float> vector;
  };
  static size_t cost(const Entry& entry);

  const size_t max_bytes_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // most recent first
  std::unordered_map<std::string_view, std::list<Entry>::iterator, KeyHash> by_key_;
  Counts counts_;
};

}  // namespace akin::serve
