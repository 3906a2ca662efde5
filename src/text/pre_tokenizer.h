// Pre-tokenizers: where a normalized text is cut before the subword model sees it. Not the model
// (subword_model.h). Follows pre_tokenizers/ of Hugging Face tokenizers.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "text/split_text.h"

namespace akin::text {

// Immutable after construction, thread-safe.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(SplitText& split) const = 0;
  // Whether apply() asks where the original text begins, so that spans must be tracked.
  virtual bool needs_spans() const { return false; }
};

// Metaspace, as pre-tokenizer and as decoder.
struct MetaspaceOptions {
  enum class Prepend : uint8_t { always, first, never };
  std::string replacement = "\xE2\x96\x81";  // one character
  Prepend prepend = Prepend::always;
  bool split = true;
};
MetaspaceOptions metaspace_options(const JsonValue& json);

// From a "pre_tokenizer" object. Errors: bad_format, unsupported (names the type or pattern).
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonValue& json);

}  // namespace akin::text
