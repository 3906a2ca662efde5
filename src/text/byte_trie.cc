#include "text/byte_trie.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace akin::text {

// A node's children lie at base ^ label. No two nodes share a base, so a label alone proves that a
// unit is the child; bases 0 and 1 belong to nobody (leaves, and the root's own label).
class ByteTrieBuilder {
 public:
  using Unit = ByteTrie::Unit;
  ByteTrieBuilder(const std::vector<ByteTrie::Key>& keys, std::vector<Unit>& units,
                  std::string_view where)
      : keys_(keys), units_(units), where_(where) {
    add_block();
    units_[0].base_and_label = 1;
    occupy(0);
    base_used_[0] = base_used_[1] = true;
  }

  void build() {
    std::vector<Range> pending{{0, static_cast<uint32_t>(keys_.size()), 0, ByteTrie::kRoot}};
    while (!pending.empty()) {
      const Range range = pending.back();
      pending.pop_back();
      expand(range, pending);
    }
  }

 private:
  // Keys [begin, end) share `depth` bytes and sit below `node`.
  struct Range {
    uint32_t begin, end, depth, node;
  };
  static constexpr size_t kBlock = 256;
  static constexpr size_t kOpenBlocks = 16;  // older blocks are not searched for room any more

  void expand(Range range, std::vector<Range>& pending) {
    if (range.begin < range.end && keys_[range.begin].text.size() == range.depth) {
      units_[range.node].value = keys_[range.begin].value;
      ++range.begin;
    }
    if (range.begin == range.end) return;
    labels_.clear();
    starts_.clear();
    for (uint32_t i = range.begin; i < range.end; ++i) {
      const auto label = static_cast<uint8_t>(keys_[i].text[range.depth]);
      if (!labels_.empty() && labels_.back() == label) continue;
      labels_.push_back(label);
      starts_.push_back(i);
    }
    starts_.push_back(range.end);
    const uint32_t base = find_base();
    base_used_[base] = true;
    units_[range.node].base_and_label = base << 8 | (units_[range.node].base_and_label & 0xFF);
    for (size_t i = 0; i < labels_.size(); ++i) {
      const uint32_t child = base ^ labels_[i];
      occupy(child);
      units_[child].base_and_label = labels_[i];
      pending.push_back({starts_[i], starts_[i + 1], range.depth + 1, child});
    }
  }

  uint32_t find_base() {
    for (uint32_t unit = first_free_; unit != kEnd; unit = next_[unit]) {
      const uint32_t base = unit ^ labels_[0];
      if (fits(base)) return base;
    }
    const auto base = static_cast<uint32_t>(units_.size());
    add_block();
    return fits(base) ? base : base + 1;  // an empty block has room for any set of labels
  }

  bool fits(uint32_t base) const {
    if (base_used_[base]) return false;
    return std::all_of(labels_.begin(), labels_.end(),
                       [&](uint8_t label) { return free_[base ^ label]; });
  }

  void add_block() {
    const size_t begin = units_.size();
    if (begin + kBlock > size_t{1} << 24) {
      throw_error(ErrorKind::unsupported, where_,
                  "the vocabulary needs more than 16 million trie nodes");
    }
    units_.resize(begin + kBlock);
    free_.resize(begin + kBlock, true);
    base_used_.resize(begin + kBlock, false);
    next_.resize(begin + kBlock, kEnd);
    previous_.resize(begin + kBlock, kEnd);
    if (begin >= kOpenBlocks * kBlock) {
      for (size_t i = begin - kOpenBlocks * kBlock; i < begin - (kOpenBlocks - 1) * kBlock; ++i) {
        if (free_[i]) unlink(static_cast<uint32_t>(i));
      }
    }
    for (size_t i = begin; i < begin + kBlock; ++i) link(static_cast<uint32_t>(i));
  }

  void link(uint32_t unit) {
    previous_[unit] = last_free_;
    next_[unit] = kEnd;
    (last_free_ == kEnd ? first_free_ : next_[last_free_]) = unit;
    last_free_ = unit;
  }
  void unlink(uint32_t unit) {
    (previous_[unit] == kEnd ? first_free_ : next_[previous_[unit]]) = next_[unit];
    (next_[unit] == kEnd ? last_free_ : previous_[next_[unit]]) = previous_[unit];
  }
  void occupy(uint32_t unit) {
    free_[unit] = false;
    unlink(unit);
  }

  static constexpr uint32_t kEnd = 0xFFFFFFFF;
  const std::vector<ByteTrie::Key>& keys_;
  std::vector<Unit>& units_;
  std::string_view where_;
  std::vector<bool> free_, base_used_;
  std::vector<uint32_t> next_, previous_;  // the free units of the open blocks
  uint32_t first_free_ = kEnd, last_free_ = kEnd;
  std::vector<uint8_t> labels_;
  std::vector<uint32_t> starts_;
};

namespace {

// Stable, by text; comparing eight bytes at once where they differ, which is nearly always.
void sort_keys(std::vector<ByteTrie::Key>& keys) {
  struct Item {
    uint64_t head;
    uint32_t index;
  };
  std::vector<Item> items(keys.size());
  for (uint32_t i = 0; i < keys.size(); ++i) {
    uint64_t head = 0;
    for (size_t k = 0; k < 8; ++k) {
      head = head << 8 | (k < keys[i].text.size() ? static_cast<uint8_t>(keys[i].text[k]) : 0);
    }
    items[i] = {head, i};
  }
  std::sort(items.begin(), items.end(), [&](const Item& a, const Item& b) {
    if (a.head != b.head) return a.head < b.head;
    const int order = keys[a.index].text.compare(keys[b.index].text);
    return order != 0 ? order < 0 : a.index < b.index;
  });
  std::vector<ByteTrie::Key> sorted;
  sorted.reserve(keys.size());
  for (const Item& item : items) sorted.push_back(keys[item.index]);
  keys = std::move(sorted);
}

}  // namespace

ByteTrie::ByteTrie(std::vector<Key> keys, std::string_view where) {
  std::erase_if(keys, [](const Key& key) {
    return key.text.empty() || key.text.find('\0') != std::string_view::npos;
  });
  sort_keys(keys);
  size_t kept = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (i + 1 == keys.size() || keys[i].text != keys[i + 1].text) keys[kept++] = keys[i];
  }
  keys.resize(kept);
  ByteTrieBuilder(keys, units_, where).build();
}

}  // namespace akin::text
