// BertNormalizer + BertPreTokenizer + WordPiece in one pass over the bytes, for ids only. Gives
// what the general pipeline gives, or declines; offsets are the general pipeline's work.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/normalizer.h"
#include "text/wordpiece.h"

namespace akin::text {

// Immutable but for pages of the character table, built on first use; thread-safe.
class BertFast {
 public:
  BertFast(const WordPiece& model, const BertNormalizerOptions& options);  // keeps the reference
  ~BertFast();
  BertFast(const BertFast&) = delete;
  BertFast& operator=(const BertFast&) = delete;

  // Appends the ids of valid UTF-8. False, and nothing appended, when the text has combining
  // characters whose order normalization may change.
  bool encode(std::string_view text, std::vector<int32_t>& ids) const;

 private:
  // What one character of the text becomes.
  enum class Kind : uint8_t {
    word,       // bytes of a word
    long_word,  // the same, in the page's pool
    drop,
    space,
    isolated,  // a word of its own, already an id
    decline,
  };
  struct Entry {
    Kind kind = Kind::drop;
    uint8_t length = 0;  // word, long_word: bytes
    union {
      char bytes[4];
      uint32_t pool_offset;
      int32_t id;
    };
  };
  struct Page {
    std::array<Entry, 256> entries;
    std::string pool;
  };
  class Reader;

  const Page& page(char32_t c) const {
    const Page* found = pages_[c >> 8].load(std::memory_order_acquire);
    return found != nullptr ? *found : build_page(c >> 8);
  }
  const Page& build_page(uint32_t number) const;
  Entry describe(char32_t c, std::string& pool) const;
  int32_t word_id(std::string_view word) const;

  const WordPiece& model_;
  BertNormalizerOptions options_;
  std::array<Entry, 128> ascii_;
  std::array<bool, 256> ends_word_{};  // ASCII bytes of kind space or isolated
  mutable std::array<std::atomic<const Page*>, 0x1100> pages_{};
};

}  // namespace akin::text
