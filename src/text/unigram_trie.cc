// Builds the double array: nodes are placed block by block (256 slots), each with an offset that
// no other node has, so that comparing one label byte is enough. Follows the darts-clone idea.
#include "text/unigram_trie.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace akin::text {
namespace {

constexpr uint32_t kBlock = 256;       // slots in a block; an offset stays inside its block
constexpr size_t kOpenBlocks = 16;     // older blocks are given up as full enough
constexpr uint32_t kEnd = 0xFFFFFFFF;  // no slot

struct Key {
  std::string_view bytes;
  uint32_t id;
};

std::vector<Key> sorted_unique(const std::vector<std::string_view>& keys) {
  std::vector<Key> sorted;
  sorted.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!keys[i].empty()) sorted.push_back({keys[i], static_cast<uint32_t>(i)});
  }
  std::sort(sorted.begin(), sorted.end(), [](const Key& a, const Key& b) {
    const int order = a.bytes.compare(b.bytes);
    return order != 0 ? order < 0 : a.id > b.id;  // the last of equal keys first
  });
  const auto equal = [](const Key& a, const Key& b) { return a.bytes == b.bytes; };
  sorted.erase(std::unique(sorted.begin(), sorted.end(), equal), sorted.end());
  return sorted;
}

}  // namespace

class UnigramTrie::Builder {
 public:
  Builder(std::vector<Key> keys, uint32_t none) : keys_(std::move(keys)), none_(none) {}

  void build(UnigramTrie& trie) {
    add_block();  // block 0 stays empty: nodes without children have offset 0
    offset_used_[0] = true;
    for (uint32_t slot = 0; slot < kBlock; ++slot) unlink(slot);
    tasks_.push_back({kEnd, 0, keys_.size(), 0});
    while (!tasks_.empty()) {
      const Task task = tasks_.back();
      tasks_.pop_back();
      const uint32_t offset = place_children(task);
      if (task.slot == kEnd) {
        trie.root_ = offset;
      } else {
        nodes_[task.slot].offset = offset;
      }
    }
    label_free_slots();
    trie.nodes_ = std::move(nodes_);
    trie.nodes_.shrink_to_fit();
  }

 private:
  struct Task {  // keys_[begin, end) share their first `depth` bytes and end at node `slot`
    uint32_t slot;
    size_t begin, end, depth;
  };

  // Gives each next byte of the keys its node; returns the offset of these nodes, 0 when none.
  uint32_t place_children(const Task& task) {
    labels_.clear();
    starts_.clear();
    for (size_t i = task.begin; i < task.end; ++i) {
      if (keys_[i].bytes.size() == task.depth) continue;  // ends at the parent
      const auto label = static_cast<uint8_t>(keys_[i].bytes[task.depth]);
      if (labels_.empty() || labels_.back() != label) {
        labels_.push_back(label);
        starts_.push_back(i);
      }
    }
    if (labels_.empty()) return 0;
    const uint32_t offset = find_offset();
    offset_used_[offset] = true;
    starts_.push_back(task.end);
    for (size_t i = 0; i < labels_.size(); ++i) {
      const uint32_t slot = offset ^ labels_[i];
      unlink(slot);
      const Key& first = keys_[starts_[i]];  // sorted: a key that ends here comes first
      const uint32_t id = first.bytes.size() == task.depth + 1 ? first.id : none_;
      nodes_[slot] = {0, id << 8 | labels_[i]};
      tasks_.push_back({slot, starts_[i], starts_[i + 1], task.depth + 1});
    }
    return offset;
  }

  uint32_t find_offset() {
    for (uint32_t slot = free_; slot != kEnd; slot = next_[slot]) {
      const uint32_t offset = slot ^ labels_[0];
      if (!offset_used_[offset] && fits(offset)) return offset;
    }
    const auto base = static_cast<uint32_t>(nodes_.size());
    add_block();
    return base;
  }

  bool fits(uint32_t offset) const {
    return std::all_of(labels_.begin() + 1, labels_.end(),
                       [&](uint8_t label) { return !slot_used_[offset ^ label]; });
  }

  void add_block() {
    AKIN_CHECK(nodes_.size() < kEnd - kBlock);
    const auto base = static_cast<uint32_t>(nodes_.size());
    if (base / kBlock >= kOpenBlocks) {
      const uint32_t closed = base - kOpenBlocks * kBlock;
      for (uint32_t slot = closed; slot < closed + kBlock; ++slot) {
        if (!slot_used_[slot]) remove_from_list(slot);
      }
    }
    nodes_.resize(base + kBlock);
    slot_used_.resize(base + kBlock, false);
    offset_used_.resize(base + kBlock, false);
    next_.resize(base + kBlock, kEnd);
    previous_.resize(base + kBlock, kEnd);
    for (uint32_t slot = base + kBlock; slot-- > base;) {  // to the front, lowest slot first
      next_[slot] = free_;
      previous_[slot] = kEnd;
      if (free_ != kEnd) previous_[free_] = slot;
      free_ = slot;
    }
  }

  void unlink(uint32_t slot) {
    slot_used_[slot] = true;
    if (nodes_.size() - slot / kBlock * kBlock <= kOpenBlocks * kBlock) remove_from_list(slot);
  }

  void remove_from_list(uint32_t slot) {
    if (previous_[slot] != kEnd) {
      next_[previous_[slot]] = next_[slot];
    } else if (free_ == slot) {
      free_ = next_[slot];
    }
    if (next_[slot] != kEnd) previous_[next_[slot]] = previous_[slot];
    next_[slot] = previous_[slot] = kEnd;
  }

  // A free slot must never look like a child: it gets a label that leads to it only from an offset
  // that no node has. Such an offset exists, as a block with 256 offsets in use has no free slot.
  void label_free_slots() {
    for (size_t base = 0; base < nodes_.size(); base += kBlock) {
      uint32_t unused = 0;
      while (unused + 1 < kBlock && offset_used_[base + unused]) ++unused;
      for (uint32_t i = 0; i < kBlock; ++i) {
        const size_t slot = base + i;
        if (base == 0 || !slot_used_[slot]) nodes_[slot] = {0, none_ << 8 | (i ^ unused)};
      }
    }
  }

  std::vector<Key> keys_;
  uint32_t none_;
  std::vector<Task> tasks_;
  std::vector<uint8_t> labels_;  // of the node being placed
  std::vector<size_t> starts_;   // where each label's keys begin
  std::vector<Walk::Node> nodes_;
  std::vector<bool> slot_used_, offset_used_;
  std::vector<uint32_t> next_, previous_;  // doubly linked free slots of the open blocks
  uint32_t free_ = kEnd;
};

UnigramTrie::UnigramTrie(const std::vector<std::string_view>& keys, uint32_t none) : none_(none) {
  AKIN_CHECK(keys.size() <= none && none <= kMaxKeys);
  Builder(sorted_unique(keys), none).build(*this);
}

std::optional<uint32_t> UnigramTrie::find(std::string_view key) const {
  if (key.empty()) return std::nullopt;
  Walk at = walk();
  for (const char c : key) {
    if (!at.step(static_cast<uint8_t>(c))) return std::nullopt;
  }
  if (at.id() == none_) return std::nullopt;
  return at.id();
}

}  // namespace akin::text
