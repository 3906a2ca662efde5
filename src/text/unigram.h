// The Unigram model: the best path through a piece under a unigram language model. Not the
// pipeline around it. Follows Hugging Face tokenizers 0.2x (models/unigram, "encode_optimized",
// float64 scores), itself after Kudo 2018 (arXiv:1804.10959) and sentencepiece's EncodeOptimized.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/subword_model.h"
#include "text/unigram_trie.h"

namespace akin::text {

struct UnigramVocab {
  std::vector<std::string_view> tokens;  // borrowed during construction only; UTF-8
  std::vector<double> scores;            // log-probabilities, finite, same length
  std::optional<int32_t> unk_id;
  bool byte_fallback = false;
};

// How encode_words() cuts a text into pieces.
struct WordSplit {
  // true:  WhitespaceSplit, then Metaspace: words are runs without Unicode whitespace.
  // false: Metaspace alone: only ' ' and U+2581 separate, and each of them starts a piece.
  bool whitespace = false;
  // Each word gets U+2581 in front (prepend_scheme "always"). With whitespace == false it concerns
  // the first word only, so that "first" is passed as true for the text that starts the input.
  bool prepend = true;
  // With whitespace == false: a run of two or more ' ' counts as one U+2581 (the normalizer
  // Replace(" {2,}", U+2581) of converted sentencepiece models).
  bool collapse_spaces = false;
};

// Immutable after construction, thread-safe. Each thread keeps a cache of whole words (2 MiB).
class Unigram final : public SubwordModel {
 public:
  // Errors: bad_format (naming `where`) for a NaN or huge score, an unk_id out of range, no tokens.
  Unigram(const UnigramVocab& vocab, const std::string& where);

  void tokenize(std::string_view piece, std::vector<SubToken>& out) const override;
  void tokenize_uncached(std::string_view piece, std::vector<SubToken>& out) const;
  size_t vocab_size() const override { return scores_.size(); }
  std::optional<int32_t> token_id(std::string_view token) const override;
  std::string_view token(int32_t id) const override;
  std::optional<int32_t> unk_id() const override { return unk_id_; }
  std::string_view type() const override { return "Unigram"; }

  // Pre-tokenizer and model in one pass, for the two pipelines that most Unigram tokenizers have:
  // appends the ids of a normalized text (valid UTF-8; spaces not yet replaced by U+2581), exactly
  // as Metaspace(split) with replacement U+2581 and tokenize() per piece would give.
  void encode_words(std::string_view text, WordSplit split, std::vector<int32_t>& ids) const;

 private:
  struct Search;
  struct Window;
  void keep_tokens(const UnigramVocab& vocab, const std::string& where);
  template <typename Emit>
  void best_path(std::string_view piece, Emit&& emit) const;
  size_t fill_window(std::string_view piece, size_t byte, size_t capacity, Window& window,
                     Search& search) const;
  template <bool kFloatScores, bool kFindCut>
  void extend_paths(size_t stop, Window& window, Search& search) const;
  void relax_unknown(size_t pos, Search& search) const;
  void slide_window(Window& window, Search& search) const;
  template <typename Emit>
  void emit_unknown(std::string_view piece, uint32_t begin, uint32_t end, Emit& emit) const;

  UnigramTrie trie_;
  std::string bytes_;              // all tokens, back to back
  std::vector<uint32_t> begin_;    // [vocab + 1], into bytes_
  std::vector<double> scores_;     // [vocab]
  std::vector<int32_t> byte_ids_;  // [256] ids of "<0x00>".. or empty without byte fallback
  std::optional<int32_t> unk_id_;
  double unk_score_ = 0;
  size_t max_token_characters_ = 1;
  bool float_scores_ = true;  // every score is a float: the trie has them all
  uint32_t instance_ = 0;     // names this model in the per-thread caches
};

}  // namespace akin::text
