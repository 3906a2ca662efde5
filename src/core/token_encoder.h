// An encoder whose two halves can be used apart: texts to ids on the caller's thread, ids to
// vectors in one pass of the model. What a server needs to count before it queues, to batch texts
// of many requests, and to take token ids from clients. Implemented by engine/ beside Encoder.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/encoder.h"
#include "core/token_batch.h"

namespace akin {

// A token as people are shown it.
struct TokenPiece {
  int32_t id = 0;
  std::string text;
  bool special = false;
  uint32_t begin = 0, end = 0;  // bytes of the text; both 0 for special tokens
};

class TokenEncoder {
 public:
  virtual ~TokenEncoder() = default;
  // Ids of each text with its prompt and special tokens, cut as options.truncate says; adapters
  // from options.task(s). Runs on the calling thread alone, never waits for a pass of the model.
  // Thread-safe. Errors: as Encoder::encode.
  virtual TokenBatch tokenize(std::span<const std::string_view> texts, const EncodeOptions& options,
                              EncodeReport& report) const = 0;
  // Adds the model's special tokens around bare ids of each text where `add_special_tokens`, cuts
  // or refuses as options.truncate says. Errors: usage, an id outside the vocabulary (which,
  // where); too_long.
  virtual TokenBatch wrap(std::span<const std::span<const int32_t>> ids, bool add_special_tokens,
                          const EncodeOptions& options, EncodeReport& report) const = 0;
  // out: [batch.size(), dims or info().dim]; of the options only dims, allow_any_dims, normalize
  // and progress are read. A text's vector does not depend on the batch. Thread-safe.
  virtual void encode_ids(const TokenBatch& batch, const EncodeOptions& options,
                          MatView<float> out) = 0;
  // The tokens of a text, uncut, with its places; `prompt` goes before it.
  virtual std::vector<TokenPiece> pieces(std::string_view text, std::string_view prompt,
                                         bool add_special_tokens) const = 0;
  // Errors: usage, an id outside the vocabulary.
  virtual std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const = 0;
};

// The encoder's other face, or null where it has none; lives as long as the encoder.
TokenEncoder* token_encoder(Encoder& encoder);

}  // namespace akin
