// A per-thread cache from short pieces of text to their tokens, for the Unigram and BPE models.
// Not a map: an entry may be replaced at any time, and long pieces are never held.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "text/subword_model.h"

namespace akin::text {

// 2^16 entries of 32 bytes in sets of two, the least recently used one of a set is replaced. Memory
// is touched as words come: at most 2 MiB a thread and model, two models a thread.
class WordCache {
 public:
  static constexpr size_t kKeyBytes = 16, kMaxTokens = 3;

  struct Entry {
    uint64_t key[2];
    int32_t ids[kMaxTokens];
    uint8_t lengths[kMaxTokens];  // bytes of each token; 0 for the ids after the last one
    uint8_t shape;                // kHeld | kMarked | bytes of the key
  };
  static_assert(sizeof(Entry) == 32);

  struct Key {
    uint64_t words[2];
    uint8_t shape;
  };
  // At most kKeyBytes bytes. `marked` keeps apart two readings of the same bytes. `readable` bytes
  // may be read from word.data().
  static Key make_key(std::string_view word, size_t readable, bool marked) {
    Key key{{0, 0}, static_cast<uint8_t>(word.size() | kHeld | (marked ? kMarked : 0))};
    if (readable >= kKeyBytes) {
      std::memcpy(key.words, word.data(), kKeyBytes);
      const size_t bits = 8 * word.size();
      key.words[0] &= bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
      key.words[1] &= bits <= 64    ? 0
                      : bits >= 128 ? ~uint64_t{0}
                                    : (uint64_t{1} << (bits - 64)) - 1;
    } else {
      std::memcpy(key.words, word.data(), word.size());
    }
    return key;
  }

  // A number for each model, so that no model sees the words of another one.
  static uint32_t next_instance() {
    static std::atomic<uint32_t> instances{0};
    return ++instances;
  }
  static WordCache& of_thread(uint32_t instance) {
    static thread_local WordCache caches[2];
    if (caches[0].instance_ != instance) {
      std::swap(caches[0], caches[1]);
      if (caches[0].instance_ != instance) caches[0].reset(instance);
    }
    return caches[0];
  }

  void prefetch(const Key& key) const { __builtin_prefetch(set_of(key)); }

  // The tokens of the key, or nullptr. Valid until the next call on this thread.
  const Entry* find(const Key& key) {
    Entry* set = set_of(key);
    if (holds(set[0], key)) return set;
    if (!holds(set[1], key)) return nullptr;
    std::swap(set[0], set[1]);
    return set;
  }
  // Appends the tokens of the key to `out`; false when they are not here.
  bool append(const Key& key, std::vector<SubToken>& out) {
    const Entry* entry = find(key);
    if (entry == nullptr) return false;
    uint32_t at = 0;
    for (size_t i = 0; i < kMaxTokens && entry->lengths[i] != 0; ++i) {
      out.push_back({entry->ids[i], at, at + entry->lengths[i]});
      at += entry->lengths[i];
    }
    return true;
  }
  // Keeps the tokens of a piece of `size` bytes, when they fit and cover it without overlap.
  void store(const Key& key, std::span<const SubToken> tokens, size_t size) {
    if (tokens.size() > kMaxTokens || tokens.empty()) return;
    size_t at = 0;
    Entry entry{};
    for (size_t i = 0; i < tokens.size(); ++i) {
      const SubToken& token = tokens[i];
      if (token.begin != at || token.end <= at || token.end - at > 255) return;
      entry.ids[i] = token.id;
      entry.lengths[i] = static_cast<uint8_t>(token.end - at);
      at = token.end;
    }
    if (at != size) return;
    std::memcpy(entry.key, key.words, sizeof entry.key);
    entry.shape = key.shape;
    Entry* set = set_of(key);
    set[1] = set[0];
    set[0] = entry;
  }

 private:
  static constexpr int kSetBits = 15;
  static constexpr size_t kBytes = (size_t{1} << kSetBits) * 2 * sizeof(Entry);
  static constexpr uint8_t kHeld = 0x80, kMarked = 0x40;
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };

  static bool holds(const Entry& entry, const Key& key) {
    return entry.key[0] == key.words[0] && entry.key[1] == key.words[1] && entry.shape == key.shape;
  }
  Entry* set_of(const Key& key) const {
    uint64_t h = (key.words[0] ^ key.shape) * 0x9E3779B97F4A7C15ULL;
    h = (h ^ (h >> 32) ^ key.words[1]) * 0xBF58476D1CE4E5B9ULL;
    return entries_ + 2 * (h >> (64 - kSetBits));
  }
  void reset(uint32_t instance) {
    // calloc: pages that no word touches stay unmapped. One line more, to align the sets.
    block_.reset(std::calloc(kBytes + 64, 1));
    if (!block_) throw std::bad_alloc();
    void* at = block_.get();
    size_t room = kBytes + 64;
    entries_ = static_cast<Entry*>(std::align(64, kBytes, at, room));
    instance_ = instance;
  }

  uint32_t instance_ = 0;
  Entry* entries_ = nullptr;
  std::unique_ptr<void, Free> block_;
};

}  // namespace akin::text
