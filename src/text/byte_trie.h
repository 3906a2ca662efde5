// A static double-array trie over bytes, for longest-match search. Not a map with deletion, and
// keys with a NUL byte are never found. Follows the double array of Aoe (1989) with XOR offsets.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace akin::text {

// Immutable after construction, thread-safe.
class ByteTrie {
 public:
  struct Key {
    std::string_view text;
    int32_t value;  // >= 0
  };
  static constexpr uint32_t kRoot = 0;

  ByteTrie() : ByteTrie({}, {}) {}
  // Sorts the keys; of equal keys the last one counts. Empty keys are left out. Errors:
  // unsupported when there are more than 16 million nodes.
  ByteTrie(std::vector<Key> keys, std::string_view where);

  // Moves along one byte; false when no key goes on that way.
  bool step(uint32_t& node, char byte) const {
    const auto label = static_cast<uint8_t>(byte);
    const uint32_t next = (units_[node].base_and_label >> 8) ^ label;
    if (next >= units_.size() || (units_[next].base_and_label & 0xFF) != label) return false;
    node = next;
    return true;
  }
  int32_t value(uint32_t node) const { return units_[node].value; }  // -1: no key ends here

  // The longest key that `text` starts with, from a node: its length (0: none) and value.
  size_t longest(std::string_view text, uint32_t node, int32_t* value) const {
    size_t length = 0;
    for (size_t i = 0; i < text.size() && step(node, text[i]); ++i) {
      if (units_[node].value >= 0) {
        *value = units_[node].value;
        length = i + 1;
      }
    }
    return length;
  }

 private:
  friend class ByteTrieBuilder;
  struct Unit {
    uint32_t base_and_label = 0;  // base << 8 | label
    int32_t value = -1;
  };
  std::vector<Unit> units_;  // a multiple of 256
};

}  // namespace akin::text
