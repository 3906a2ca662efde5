// Decoders: token strings back to text. Follows decoders/ of Hugging Face tokenizers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"

namespace akin::text {

// Immutable after construction, thread-safe.
class Decoder {
 public:
  virtual ~Decoder() = default;
  // Changes the strings in place; joined, they are the text.
  virtual void apply(std::vector<std::string>& tokens) const = 0;
};

// From a "decoder" object. Errors: bad_format, unsupported.
std::unique_ptr<Decoder> make_decoder(const JsonValue& json);

}  // namespace akin::text
