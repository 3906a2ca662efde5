// A sequence classifier as the server sees it: a text, or two laid out as one, in; a logit for each
// label out. Implemented by engine/ for folders with a sequence classification head.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mat.h"
#include "core/encoder.h"
#include "core/token_encoder.h"

namespace akin {

struct ClassifierInput {
  std::string_view text;
  std::optional<std::string_view> second;
};

struct ClassLogits {
  Mat<float> logits;    // [inputs, labels]; before any softmax
  EncodeReport report;  // tokens of all inputs; indices of those that were cut
};

class TextClassifier {
 public:
  virtual ~TextClassifier() = default;
  virtual const std::vector<std::string>& labels() const = 0;
  // An input's logits do not depend on the others. Thread-safe. Errors: too_long (truncate ==
  // error) naming "input <number>".
  virtual ClassLogits classify(std::span<const ClassifierInput> inputs, Truncate truncate) = 0;
  // The tokens of one text, uncut, with its places. Thread-safe, waits for no pass of the model.
  virtual std::vector<TokenPiece> pieces(std::string_view text, bool add_special_tokens) const = 0;
  // Errors: usage, an id outside the vocabulary.
  virtual std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const = 0;
};

}  // namespace akin
