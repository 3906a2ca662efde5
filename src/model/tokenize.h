// Texts to packed token ids for one model: prompt in front, limit kept, counts of what was cut.
// What every core::Encoder over a Model does before it computes.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/threads.h"
#include "core/encoder.h"
#include "core/token_batch.h"
#include "core/token_encoder.h"
#include "model/model.h"

namespace akin::model {

class TextTokenizer {
 public:
  // Both outlive this object.
  TextTokenizer(const Model& model, const EncoderInfo& info) : model_(model), info_(info) {}

  // One batch of all texts, in order; the pool's threads share the work. Fills report.texts,
  // tokens, truncated, invalid_utf8. Errors: too_long (truncate == error) naming the text, its
  // tokens and the limit; not_found (prompt, task); usage.
  TokenBatch tokenize(std::span<const std::string_view> texts, const EncodeOptions& options,
                      ThreadPool& pool, EncodeReport& report) const;
  // The same on the calling thread alone.
  TokenBatch tokenize(std::span<const std::string_view> texts, const EncodeOptions& options,
                      EncodeReport& report) const;

  // TokenEncoder::wrap, pieces and decode. `known`: ids the weights have rows for.
  TokenBatch wrap(std::span<const std::span<const int32_t>> ids, bool add_special_tokens,
                  size_t known, const EncodeOptions& options, EncodeReport& report) const;
  std::vector<TokenPiece> pieces(std::string_view text, std::string_view prompt,
                                 bool add_special_tokens) const;
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const;

  // Number of tokens of each text with its prompt, before any cut.
  std::vector<uint32_t> count(std::span<const std::string_view> texts, const EncodeOptions& options,
                              ThreadPool& pool) const;

  // The prompt that goes before text number `index`.
  std::string prompt(const EncodeOptions& options, size_t index) const;

  // Fills begin and end of vectors.ids, which are what tokenize() made of this one text.
  void token_offsets(std::string_view text, const EncodeOptions& options,
                     TokenVectors& vectors) const;

 private:
  struct Piece;
  using RunPieces = std::function<void(size_t count, const std::function<void(size_t)>& work)>;
  TokenBatch tokenize(std::span<const std::string_view> texts, const EncodeOptions& options,
                      const RunPieces& run, EncodeReport& report) const;
  bool is_over(size_t tokens) const { return model_.max_tokens != 0 && tokens > model_.max_tokens; }
  // Adds ids, a text over the limit, in pieces that begin and end as it does.
  void divide(const std::vector<int32_t>& ids, const std::string& prompt, size_t index,
              Piece& piece) const;
  // Cuts ids of text `index` to the model's limit, or refuses; true: it was cut.
  bool fit(std::vector<int32_t>& ids, size_t index, Truncate truncate) const;
  void count_report(const EncodeReport& report) const;
  void tokenize_piece(std::span<const std::string_view> texts, const EncodeOptions& options,
                      size_t begin, bool cut, Piece& piece) const;
  uint32_t prompt_tokens(const std::string& prompt) const;
  size_t append(const std::string& prompt, std::string_view text, std::vector<int32_t>& ids,
                size_t* replaced) const;
  bool special() const { return model_.arch.kind == ModelKind::transformer; }

  const Model& model_;
  const EncoderInfo& info_;
};

}  // namespace akin::model
