// A static double-array trie over characters, from UTF-8 strings to ids with scores. Not updatable.
// Characters are numbered by how often the keys use them, as in character-wise double arrays
// (Kanda et al., arXiv:2207.13870), so that a Chinese character is one step, not three.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace akin::text {

// Immutable after construction, thread-safe. No walk leaves the array, whatever the codes.
class UnigramTrie {
 public:
  static constexpr uint32_t kMaxKeys = 0xFFFFFF;
  static constexpr uint32_t kNone = 0xFFFFFFFF;  // the id of a node that ends no key

  // The child of node s for a code c is at s.base ^ c, when its parent is s.
  struct Node {
    uint32_t base = 0;
    uint32_t parent = kNone;
    uint32_t id = kNone;
    float score = 0;  // -infinity for a node that ends no key
  };

  UnigramTrie() = default;
  // keys[i] -> i with scores[i], rounded to float; of equal keys the last one counts, empty keys
  // are left out. Keys are UTF-8, at most kMaxKeys. Errors: unsupported, for keys made to blow up
  // the array.
  UnigramTrie(const std::vector<std::string_view>& keys, const std::vector<double>& scores,
              const std::string& where);

  // The number of a character, at most code_count(); 0 for one that no key has.
  uint32_t code(uint32_t codepoint) const {
    return codepoint < low_codes_.size() ? low_codes_[codepoint] : high_code(codepoint);
  }
  static constexpr uint32_t kRoot = 0;
  const Node* nodes() const { return nodes_.data(); }

  std::optional<uint32_t> find(std::string_view key) const;
  size_t size_bytes() const { return nodes_.size() * sizeof(Node); }

 private:
  class Builder;
  uint32_t high_code(uint32_t codepoint) const;

  std::vector<Node> nodes_;          // a multiple of the power of two above every code
  std::vector<uint32_t> low_codes_;  // of code points below U+10000
  std::vector<std::pair<uint32_t, uint32_t>> high_codes_;  // of the others, sorted
};

}  // namespace akin::text
