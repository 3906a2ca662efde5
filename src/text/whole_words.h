// Which tokens of a text make up one word, so that a word is masked as a whole. Works on token ids
// alone, for every kind of vocabulary; changes no token.
//
// A word is what BERT's whole-word masking takes for one (a piece and its ## continuations), and
// its counterpart for Unigram and byte-level vocabularies (pieces of letters and digits up to the
// next that carries a space); punctuation stands alone. Scripts without spaces (Chinese, Japanese,
// Thai, ...) go token by token, or by the pieces of a segmenter: any other tokenizer, such as a
// Unigram vocabulary trained on that language, which needs no dictionary.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace akin::text {

// Immutable, thread-safe.
class WholeWords {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // segmenter null: scripts without spaces token by token. Both outlive this object.
  explicit WholeWords(const Tokenizer& tokenizer, const Tokenizer* segmenter = nullptr);

  // The number of each token's word, from 0 in order; kNone for special and unknown tokens.
  void split(std::span<const int32_t> ids, std::vector<uint32_t>& words) const;

 private:
  enum class Edge : uint8_t { letter, unspaced, other };
  struct Shape {
    bool none = false;    // special or unknown
    bool begins = false;  // says itself that a word begins
    Edge first = Edge::letter, last = Edge::letter;
  };
  Shape shape_of(int32_t id) const;
  std::string text_of(int32_t id, bool* begins = nullptr) const;
  bool joins(const Shape& before, const Shape& shape) const;
  void segment(std::span<const int32_t> ids, std::span<uint32_t> words) const;

  const Tokenizer& tokenizer_;
  const Tokenizer* segmenter_;
  bool word_piece_;
  std::vector<Shape> shapes_;  // by id
};

}  // namespace akin::text
