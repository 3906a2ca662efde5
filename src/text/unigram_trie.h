// A static double-array trie from byte strings to ids, 8 bytes a node. Not updatable. The layout
// (XOR addressing, a label in each node, offsets used once) is that of Yata's darts-clone.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace akin::text {

// Immutable after construction, thread-safe. No walk leaves the array, whatever the bytes.
class UnigramTrie {
 public:
  static constexpr uint32_t kMaxKeys = 0xFFFFFF;

  UnigramTrie() = default;
  // keys[i] -> i; of equal keys the last one counts, empty keys are left out. At most kMaxKeys
  // keys. `none` >= keys.size() is the id of nodes that end no key.
  UnigramTrie(const std::vector<std::string_view>& keys, uint32_t none);

  // A position in the trie. step() returns false when no key continues with `byte`.
  class Walk {
   public:
    bool step(uint8_t byte) {
      const Node node = nodes_[offset_ ^ byte];
      if ((node.value & 0xFF) != byte) return false;
      offset_ = node.offset;
      id_ = node.value >> 8;
      return true;
    }
    uint32_t id() const { return id_; }  // `none` when no key ends here; only after a step()

   private:
    friend class UnigramTrie;
    struct Node {
      uint32_t offset = 0;  // children of this node are at offset ^ byte
      uint32_t value = 0;   // id << 8 | the byte that leads here
    };
    Walk(const Node* nodes, uint32_t offset) : nodes_(nodes), offset_(offset) {}
    const Node* nodes_;
    uint32_t offset_;
    uint32_t id_ = 0;
  };
  Walk walk() const { return {nodes_.data(), root_}; }
  std::optional<uint32_t> find(std::string_view key) const;
  size_t size_bytes() const { return nodes_.size() * sizeof(Walk::Node); }

 private:
  class Builder;
  std::vector<Walk::Node> nodes_;
  uint32_t root_ = 0;
  uint32_t none_ = 0;
};

}  // namespace akin::text
