// Whitespace or metaspace splitting and the Unigram model in one pass, for ids only, where the
// pre-tokenizer is one of the two that nearly all Unigram tokenizers have. The normalizer stays the
// general one, but for a final Replace(" {2,}"). The pass itself is Unigram::encode_words.
#pragma once

#include <memory>
#include <optional>

#include "base/json.h"
#include "text/normalizer.h"
#include "text/unigram.h"

namespace akin::text {

// Immutable after construction, thread-safe.
class UnigramFast {
 public:
  // `root` is a whole tokenizer.json; empty when its pipeline is another one.
  static std::unique_ptr<UnigramFast> make(const JsonValue& root, const Unigram& model);

  // Appends the ids of valid UTF-8 that begins the original text or does not. False, and nothing
  // appended, when it takes spans to tell whether the first word does.
  bool encode(std::string_view text, bool at_start, std::vector<int32_t>& ids) const;

 private:
  explicit UnigramFast(const Unigram& model) : model_(model) {}
  bool read_normalizer(const JsonValue& root);
  bool read_pre_tokenizer(const JsonValue& root);

  const Unigram& model_;
  std::vector<std::unique_ptr<Normalizer>> normalizers_;
  WordSplit split_;
  bool only_first_ = false;  // prepend_scheme "first"
};

}  // namespace akin::text
