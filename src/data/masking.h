// Which tokens a pre-training step hides: whole words at random, BERT's 80/10/10, and the
// visibility of RetroMAE's enhanced decoder. Numbers only: no model, no torch.
//
// Whole-word choice as BERT's (arXiv:1810.04805): words in random order, taken whole until the
// share of tokens is reached; one that would go beyond it is passed over. Decoder: RetroMAE,
// arXiv:2205.12035, section 3.3, and its reference code.
//
// Shapes: L tokens of a text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/rng.h"
#include "core/token_batch.h"
#include "text/tokenizer.h"
#include "text/whole_words.h"

namespace akin::data {

// Positions of chosen tokens, ascending. `words`: text/whole_words.h; tokens without a word are
// never chosen. At least one token is, where there is any. share: of the tokens that have a word.
std::vector<uint32_t> choose_tokens(std::span<const uint32_t> words, double share, Rng& rng);

// What stands in the place of hidden tokens.
class MaskTokens {
 public:
  // Errors: unsupported, when the vocabulary has no mask token.
  explicit MaskTokens(const text::Tokenizer& tokenizer);
  // Each chosen token: 80 % the mask token, 10 % a random ordinary token, 10 % itself.
  void hide(std::span<const uint32_t> chosen, Rng& rng, std::span<int32_t> ids) const;
  int32_t mask_id() const { return mask_id_; }

 private:
  int32_t mask_id_ = 0;
  std::vector<int32_t> ordinary_;  // every id that is not special
};

// A batch of texts with some of their tokens hidden.
struct MaskedBatch {
  TokenBatch texts;                 // as the batch, other ids
  std::vector<uint32_t> positions;  // of the chosen tokens in texts.ids, ascending
  std::vector<int32_t> labels;      // what stood there
};

// Masks whole batches; the same seed hides the same tokens.
class Masker {
 public:
  // segmenter: a tokenizer whose pieces are the words of scripts without spaces; empty: none.
  // whole_words false: token by token. The tokenizer outlives this object.
  Masker(const text::Tokenizer& tokenizer, bool whole_words,
         const std::filesystem::path& segmenter);

  MaskedBatch mask(const TokenBatch& batch, double share, uint64_t seed) const;
  // The words of one text, as decoder_visibility() reads them.
  std::vector<uint32_t> words(std::span<const int32_t> ids) const;
  int32_t mask_id() const { return tokens_.mask_id(); }

 private:
  MaskTokens tokens_;
  bool whole_words_;
  std::unique_ptr<text::Tokenizer> segmenter_;
  text::WholeWords splitter_;
};

// What row i of the enhanced decoder may look at: [L * L], 1 = visible. min(L, 256) choices of
// `share` are drawn, each row takes one of them at random, and besides does not see itself. The
// first token, whose place the sentence vector takes, is seen by all other rows; so are tokens
// without a word (the last).
std::vector<uint8_t> decoder_visibility(std::span<const uint32_t> words, double share, Rng& rng);

}  // namespace akin::data
