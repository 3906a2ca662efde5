// 64-bit hashes to 32-bit numbers: open addressing, one cache line a look-up, no removal. For
// millions of well-mixed keys that are looked up far more often than added. Not a general map: the
// first value of a key stays.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace akin::data {

class HashMap {
 public:
  HashMap() : slots_(kFirst) {}

  void add(uint64_t key, uint32_t value) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    Slot& slot = slots_[slot_of(slots_, mixed(key))];
    if (slot.key != 0) return;
    slot = {mixed(key), value};
    ++size_;
  }
  std::optional<uint32_t> find(uint64_t key) const {
    const Slot& slot = slots_[slot_of(slots_, mixed(key))];
    return slot.key == 0 ? std::nullopt : std::optional<uint32_t>(slot.value);
  }
  size_t size() const { return size_; }

 private:
  static constexpr size_t kFirst = 1024;
  struct Slot {
    uint64_t key = 0;  // 0: free
    uint32_t value = 0;
  };
  static uint64_t mixed(uint64_t key) { return key == 0 ? 1 : key; }

  // Where the key lies, or the free slot where it belongs.
  static size_t slot_of(const std::vector<Slot>& slots, uint64_t key) {
    const size_t mask = slots.size() - 1;
    size_t at = (key * 0x9E3779B97F4A7C15ULL >> 20) & mask;
    while (slots[at].key != 0 && slots[at].key != key) at = (at + 1) & mask;
    return at;
  }
  void grow() {
    std::vector<Slot> larger(2 * slots_.size());
    for (const Slot& slot : slots_) {
      if (slot.key != 0) larger[slot_of(larger, slot.key)] = slot;
    }
    slots_ = std::move(larger);
  }

  std::vector<Slot> slots_;
  size_t size_ = 0;
};

}  // namespace akin::data
