// The subword models behind the tokenizer: one pre-tokenized piece in, ids out. Not the pipeline
// around them (tokenizer_json.h). Follows the "model" objects of Hugging Face tokenizer.json.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace akin::text {

// One token of a piece. Offsets are bytes relative to the piece.
struct SubToken {
  int32_t id;
  uint32_t begin, end;
};

// WordPiece | Unigram | BPE. Immutable after construction, thread-safe.
class SubwordModel {
 public:
  virtual ~SubwordModel() = default;
  // Appends the tokens of one piece; the piece is valid UTF-8.
  virtual void tokenize(std::string_view piece, std::vector<SubToken>& out) const = 0;
  virtual size_t vocab_size() const = 0;  // ids are < vocab_size()
  virtual std::optional<int32_t> token_id(std::string_view token) const = 0;
  virtual std::string_view token(int32_t id) const = 0;  // empty for an unknown id
  virtual std::optional<int32_t> unk_id() const = 0;
  virtual std::string_view type() const = 0;  // "WordPiece" | "Unigram" | "BPE"
};

// From the "model" object of a tokenizer.json. Errors: bad_format, unsupported.
std::unique_ptr<SubwordModel> make_unigram(const JsonValue& model);
std::unique_ptr<SubwordModel> make_bpe(const JsonValue& model);
std::unique_ptr<SubwordModel> make_wordpiece(const JsonValue& model);

}  // namespace akin::text
