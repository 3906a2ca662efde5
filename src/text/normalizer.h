// Normalizers: what a tokenizer does to the characters of a text before it is split. Not the
// sentencepiece character map itself (charsmap.h). Follows normalizers/ of Hugging Face tokenizers.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/json.h"
#include "text/normalized_text.h"

namespace akin::text {

// Immutable after construction, thread-safe.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(NormalizedText& text) const = 0;
};

struct BertNormalizerOptions {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  bool strip_accents = true;  // "null" in the file: as lowercase
  bool lowercase = true;
};
BertNormalizerOptions bert_normalizer_options(const JsonValue& json);
std::unique_ptr<Normalizer> make_bert_normalizer(const BertNormalizerOptions& options);

enum class UnicodeForm : uint8_t { nfc, nfd, nfkc, nfkd };
void normalize_unicode(NormalizedText& text, UnicodeForm form);
void lowercase(NormalizedText& text);

// From a "normalizer" object. Errors: bad_format, unsupported (names the type or the pattern).
std::unique_ptr<Normalizer> make_normalizer(const JsonValue& json);
// Of a "Sequence": what does the same as its items one after another, in no more parts.
std::vector<std::unique_ptr<Normalizer>> make_normalizers(std::span<const JsonValue> items);

}  // namespace akin::text
