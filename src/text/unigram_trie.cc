// Builds the double array: first the trie as lists of children, then a place for the children of
// each node, largest families first. An only child goes next to its parent when it can, so that
// the tails of keys cost one cache line.
#include "text/unigram_trie.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace akin::text {
namespace {

constexpr uint32_t kEnd = 0xFFFFFFFF;  // no slot, no node
constexpr uint32_t kLarge = 16;        // families that are placed first
constexpr int kPatience = 64;  // failed slots after which a search leaves them behind for good
constexpr size_t kLowCodes = 0x10000;

// The character at p, and p behind it; the key is valid UTF-8.
uint32_t next_codepoint(const char*& p) {
  const auto at = [&](int i) { return static_cast<uint32_t>(static_cast<uint8_t>(p[i])); };
  const uint32_t a = at(0);
  if (a < 0x80) return p += 1, a;
  if (a < 0xE0) {
    const uint32_t c = (a & 0x1F) << 6 | (at(1) & 0x3F);
    return p += 2, c;
  }
  if (a < 0xF0) {
    const uint32_t c = (a & 0xF) << 12 | (at(1) & 0x3F) << 6 | (at(2) & 0x3F);
    return p += 3, c;
  }
  const uint32_t c = (a & 7) << 18 | (at(1) & 0x3F) << 12 | (at(2) & 0x3F) << 6 | (at(3) & 0x3F);
  return p += 4, c;
}

struct Key {
  uint64_t head;  // the first eight bytes, so that most comparisons end here
  std::string_view bytes;
  uint32_t id;
};

std::vector<Key> sorted_unique(const std::vector<std::string_view>& keys) {
  std::vector<Key> sorted;
  sorted.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].empty()) continue;
    uint64_t head = 0;
    for (size_t k = 0; k < 8; ++k) {
      head = head << 8 | (k < keys[i].size() ? static_cast<uint8_t>(keys[i][k]) : 0u);
    }
    sorted.push_back({head, keys[i], static_cast<uint32_t>(i)});
  }
  std::sort(sorted.begin(), sorted.end(), [](const Key& a, const Key& b) {
    if (a.head != b.head) return a.head < b.head;
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
  Builder(UnigramTrie& trie, std::vector<Key> keys, const std::string& where)
      : trie_(trie), keys_(std::move(keys)), where_(where) {}

  void build(const std::vector<double>& scores) {
    number_characters();
    make_families();
    place_families();
    fill(scores);
  }

 private:
  struct Member {  // a node of the trie before it has its slot
    uint32_t code = 0;
    uint32_t id = kNone;
    uint32_t first = 0, count = 0;  // its children, members themselves
    uint32_t slot = kEnd, base = 0;
  };

  // Frequent characters get small numbers: the children of most nodes then lie close together.
  void number_characters() {
    std::vector<uint32_t> counts(0x110000, 0);
    for (const Key& key : keys_) {
      for (const char* p = key.bytes.data(); p < key.bytes.data() + key.bytes.size();) {
        ++counts[next_codepoint(p)];
      }
    }
    std::vector<uint32_t> used;
    for (uint32_t c = 0; c < counts.size(); ++c) {
      if (counts[c] != 0) used.push_back(c);
    }
    std::stable_sort(used.begin(), used.end(),
                     [&](uint32_t a, uint32_t b) { return counts[a] > counts[b]; });
    trie_.low_codes_.assign(kLowCodes, 0);
    for (uint32_t i = 0; i < used.size(); ++i) {
      if (used[i] < kLowCodes) {
        trie_.low_codes_[used[i]] = i + 1;
      } else {
        trie_.high_codes_.emplace_back(used[i], i + 1);
      }
    }
    std::sort(trie_.high_codes_.begin(), trie_.high_codes_.end());
    block_ = std::max(4u, std::bit_ceil(static_cast<uint32_t>(used.size()) + 1));
  }

  void make_families() {
    struct Task {  // keys_[begin, end) share `depth` bytes, which lead to `member`
      uint32_t member;
      size_t begin, end, depth;
    };
    members_.emplace_back();
    std::vector<Task> tasks = {{0, 0, keys_.size(), 0}};
    while (!tasks.empty()) {
      const Task task = tasks.back();
      tasks.pop_back();
      const auto first = static_cast<uint32_t>(members_.size());
      for (size_t i = task.begin; i < task.end;) {
        const std::string_view bytes = keys_[i].bytes;
        if (bytes.size() == task.depth) {
          ++i;  // ends at the parent
          continue;
        }
        const char* p = bytes.data() + task.depth;
        Member member;
        member.code = trie_.code(next_codepoint(p));
        const auto depth = static_cast<size_t>(p - bytes.data());
        const std::string_view prefix = bytes.substr(task.depth, depth - task.depth);
        if (bytes.size() == depth) member.id = keys_[i].id;  // sorted: it comes first
        size_t end = i + 1;
        while (end < task.end && keys_[end].bytes.substr(task.depth).starts_with(prefix)) ++end;
        if (end > i + 1 || member.id == kNone) {
          tasks.push_back({static_cast<uint32_t>(members_.size()), i, end, depth});
        }
        members_.push_back(member);
        i = end;
      }
      members_[task.member].first = first;
      members_[task.member].count = static_cast<uint32_t>(members_.size()) - first;
    }
  }

  void place_families() {
    add_block();
    take(kRoot);
    members_[0].slot = kRoot;
    std::vector<uint32_t> large;
    for (uint32_t m = 0; m < members_.size(); ++m) {
      if (members_[m].count >= kLarge) large.push_back(m);
    }
    std::stable_sort(large.begin(), large.end(),
                     [&](uint32_t a, uint32_t b) { return members_[a].count > members_[b].count; });
    for (const uint32_t m : large) place(m);
    std::vector<uint32_t> stack = {0};  // depth first: a parent before its children
    while (!stack.empty()) {
      const uint32_t m = stack.back();
      stack.pop_back();
      if (members_[m].count != 0 && members_[m].count < kLarge) place(m);
      for (uint32_t i = members_[m].count; i-- > 0;) stack.push_back(members_[m].first + i);
    }
  }

  // Finds the base of a family and takes the slots.
  void place(uint32_t m) {
    Member& parent = members_[m];
    const uint32_t base = parent.count == 1 ? base_of_only_child(parent) : base_of_family(parent);
    parent.base = base;
    for (uint32_t i = 0; i < parent.count; ++i) {
      Member& child = members_[parent.first + i];
      child.slot = base ^ child.code;
      take(child.slot);
    }
  }

  uint32_t base_of_only_child(const Member& parent) {
    const uint32_t code = members_[parent.first].code;
    if (parent.slot != kEnd) {
      for (uint32_t i = 1; i < 4; ++i) {  // four nodes are a cache line
        if (!taken_[parent.slot ^ i]) return (parent.slot ^ i) ^ code;
      }
    }
    if (free_ == kEnd) add_block();
    return free_ ^ code;
  }

  uint32_t base_of_family(const Member& parent) {
    const uint32_t first = members_[parent.first].code;
    int failed = 0;
    for (uint32_t slot = cursor_; slot != kEnd; slot = next_[slot]) {
      if (fits(parent, slot ^ first)) return slot ^ first;
      if (++failed >= kPatience) cursor_ = next_[slot];
    }
    const auto base = static_cast<uint32_t>(taken_.size());
    add_block();
    return base;
  }

  bool fits(const Member& parent, uint32_t base) const {
    for (uint32_t i = 1; i < parent.count; ++i) {
      if (taken_[base ^ members_[parent.first + i].code]) return false;
    }
    return true;
  }

  void add_block() {
    const size_t base = taken_.size(), size = base + block_;
    if (size > 64 * members_.size() + (size_t{1} << 22)) {
      throw_error(ErrorKind::unsupported, where_,
                  "the vocabulary has {} characters in a pattern "
                  "that would need a table of more than {} entries",
                  block_, base);
    }
    taken_.resize(size, 0);
    next_.resize(size, kEnd);
    previous_.resize(size, kEnd);
    for (size_t i = base; i < size; ++i) {
      const auto slot = static_cast<uint32_t>(i);
      previous_[slot] = last_;
      if (last_ != kEnd) next_[last_] = slot;
      last_ = slot;
    }
    if (free_ == kEnd) free_ = static_cast<uint32_t>(base);
    if (cursor_ == kEnd) cursor_ = static_cast<uint32_t>(base);
  }

  void take(uint32_t slot) {
    taken_[slot] = 1;
    const uint32_t next = next_[slot], previous = previous_[slot];
    (previous != kEnd ? next_[previous] : free_) = next;
    (next != kEnd ? previous_[next] : last_) = previous;
    if (cursor_ == slot) cursor_ = next;
  }

  void fill(const std::vector<double>& scores) {
    constexpr float kNoKey = -std::numeric_limits<float>::infinity();
    trie_.nodes_.assign(taken_.size(), Node{0, kEnd, kNone, kNoKey});
    for (const Member& member : members_) {
      Node& node = trie_.nodes_[member.slot];
      node.base = member.base;
      node.id = member.id;
      if (member.id != kNone) node.score = static_cast<float>(scores[member.id]);
      for (uint32_t i = 0; i < member.count; ++i) {
        trie_.nodes_[members_[member.first + i].slot].parent = member.slot;
      }
    }
  }

  UnigramTrie& trie_;
  std::vector<Key> keys_;
  const std::string& where_;
  uint32_t block_ = 1;
  std::vector<Member> members_;
  std::vector<uint8_t> taken_;             // a slot has its node
  std::vector<uint32_t> next_, previous_;  // the free slots, in order
  uint32_t free_ = kEnd, last_ = kEnd;     // both ends of that list
  uint32_t cursor_ = kEnd;                 // where families look; slots before it are for singles
};

UnigramTrie::UnigramTrie(const std::vector<std::string_view>& keys,
                         const std::vector<double>& scores, const std::string& where) {
  AKIN_CHECK(keys.size() <= kMaxKeys && keys.size() == scores.size());
  Builder(*this, sorted_unique(keys), where).build(scores);
}

uint32_t UnigramTrie::high_code(uint32_t codepoint) const {
  const auto it =
      std::lower_bound(high_codes_.begin(), high_codes_.end(), std::pair(codepoint, uint32_t{0}));
  return it != high_codes_.end() && it->first == codepoint ? it->second : 0;
}

std::optional<uint32_t> UnigramTrie::find(std::string_view key) const {
  uint32_t at = kRoot;
  std::string padded;  // a key that is cut inside a character must not be read past its end
  const char* p = key.data();
  const char* end = p + key.size();
  while (p < end) {
    if (end - p < 4 && padded.empty()) {
      padded.assign(p, end);
      padded.append(4, '\0');
      end = padded.data() + (end - p);
      p = padded.data();
    }
    const uint32_t child = nodes_[at].base ^ code(next_codepoint(p));
    if (p > end || nodes_[child].parent != at) return std::nullopt;
    at = child;
  }
  if (nodes_[at].id == kNone) return std::nullopt;
  return nodes_[at].id;
}

}  // namespace akin::text
