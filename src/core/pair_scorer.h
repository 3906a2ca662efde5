// A cross-encoder as the server sees it: a query and documents in, one logit a document out.
// Implemented by engine/ for folders with a sequence classification head.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/encoder.h"

namespace akin {

struct PairScores {
  std::vector<float> logits;  // one a document; before any sigmoid
  EncodeReport report;        // tokens of all pairs; indices of documents that were cut
};

class PairScorer {
 public:
  virtual ~PairScorer() = default;
  // A document's logit does not depend on the others. Thread-safe. Errors: too_long (truncate ==
  // error) naming "input <document>".
  virtual PairScores scores(std::string_view query, std::span<const std::string_view> documents,
                            Truncate truncate) = 0;
};

}  // namespace akin
