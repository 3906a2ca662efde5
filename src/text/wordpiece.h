// WordPiece: the longest token that starts a word, then the longest continuations. Not the
// splitting into words. Follows models/wordpiece of Hugging Face tokenizers.
#pragma once

#include <string>

#include "text/byte_trie.h"
#include "text/subword_model.h"
#include "text/vocabulary.h"

namespace akin::text {

struct WordPieceOptions {
  std::string unk_token = "[UNK]";
  std::string continuing_prefix = "##";
  size_t max_chars_per_word = 100;  // longer words are unknown
};

class WordPiece final : public SubwordModel {
 public:
  // Errors: bad_format when the unknown token is not in the vocabulary.
  WordPiece(Vocabulary vocabulary, WordPieceOptions options, std::string_view where);

  void tokenize(std::string_view piece, std::vector<SubToken>& out) const override;
  size_t vocab_size() const override { return vocabulary_.size(); }
  std::optional<int32_t> token_id(std::string_view token) const override {
    return vocabulary_.find(token);
  }
  std::string_view token(int32_t id) const override { return vocabulary_.token(id); }
  std::optional<int32_t> unk_id() const override { return unk_id_; }
  std::string_view type() const override { return "WordPiece"; }

  // For the fused path (bert_fast.h): a word of at most 16 bytes, zero-padded, read as two
  // little-endian words. Its id, or -1 when the word as a whole is no token.
  int32_t short_word(uint64_t low, uint64_t high) const {
    for (size_t slot = short_slot(low, high);; slot = (slot + 1) & short_mask_) {
      const ShortWord& word = short_words_[slot];
      if (word.low == low && word.high == high) return word.id;
      if (word.low == 0) return -1;
    }
  }
  void prefetch(uint64_t low, uint64_t high) const {
    __builtin_prefetch(&short_words_[short_slot(low, high)]);
  }
  void append_ids(std::string_view word, std::vector<int32_t>& ids) const;
  size_t max_chars_per_word() const { return options_.max_chars_per_word; }
  int32_t unknown() const { return unk_id_; }

 private:
  struct ShortWord {
    uint64_t low = 0, high = 0;
    int32_t id = -1;
  };
  size_t short_slot(uint64_t low, uint64_t high) const {
    const uint64_t mixed = (low ^ (high >> 29) ^ (high << 17)) * 0x9E3779B97F4A7C15ULL;
    return (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9ULL >> short_shift_;
  }
  void fill_short_words();
  // Calls emit(id, begin, end) for each token; false when the word is unknown.
  template <typename Emit>
  bool match(std::string_view word, Emit&& emit) const;

  Vocabulary vocabulary_;
  WordPieceOptions options_;
  ByteTrie trie_;
  uint32_t continuing_node_ = 0;
  bool has_continuing_ = false;
  int32_t unk_id_ = 0;
  std::vector<ShortWord> short_words_;
  size_t short_mask_ = 0;
  int short_shift_ = 0;
};

}  // namespace akin::text
