// The one request inside the server, whatever dialect it came in: texts or ids, which side, what to
// do with long ones, and what shape of answer. Dialects (dialects/*.cc) parse into these and print
// from the results; service.h answers them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/mat.h"
#include "core/encoder.h"
#include "core/token_encoder.h"

namespace akin::serve {

enum class Side : uint8_t { none, query, document };

struct EmbedRequest {
  std::string model;                      // as the client named it; empty: the first one served
  std::vector<std::string> texts;         // either these
  std::vector<std::vector<int32_t>> ids;  // or these
  bool add_special_tokens = false;        // around ids
  Side side = Side::none;  // picks prompt and retrieval task where the model has them
  std::string task;        // LoRA adapter; empty: by side, else none
  std::string prompt_name;
  std::optional<std::string> prompt;
  size_t dims = 0;
  bool allow_any_dims = false;  // take dims that the model does not declare
  bool normalize = true;
  std::optional<Truncate> truncate;  // none: the server's default
  bool late_chunking = false;  // the texts are one document in pieces: encoded once, pooled each
  bool token_vectors = false;  // a vector per token instead
  size_t max_tokens = 0;       // of all inputs together, as they go through the model; 0: no limit
};

struct Timing {  // of one request
  std::chrono::nanoseconds total{0}, tokenization{0}, queue{0}, inference{0};
};

struct Usage {
  uint64_t characters = 0, tokens = 0;
  size_t truncated_inputs = 0;
  size_t empty_inputs = 0;  // without any token, so that their vectors are zero
};

struct EmbedResult {
  std::string model;                      // the served name
  Mat<float> vectors;                     // [texts, dims]
  std::vector<Mat<float>> token_vectors;  // per text [tokens, hidden], when asked for
  Usage usage;
  Timing timing;
};

struct RerankRequest {
  std::string model, query;
  std::vector<std::string> documents;
  std::optional<Truncate> truncate;
  bool raw_scores =
      false;  // a cross-encoder's logits; else through a sigmoid. Cosines stay cosines
};

struct RerankResult {
  std::string model;
  std::vector<float> scores;  // one a document, in the order of the request
  Usage usage;
  Timing timing;
};

struct PredictInput {
  std::string text;
  std::optional<std::string> second;  // a pair
};

struct PredictRequest {
  std::string model;
  std::vector<PredictInput> inputs;
  std::optional<Truncate> truncate;
  bool raw_scores = false;  // logits; else a softmax over the labels, a sigmoid where there is one
};

struct PredictResult {
  std::string model;
  std::vector<std::string> labels;
  Mat<float> scores;  // [inputs, labels]
  Usage usage;
  Timing timing;
};

using Token = akin::TokenPiece;

struct ModelStatus {
  std::string name;  // served name
  std::string path_name;
  EncoderInfo info;
  bool reranker = false;            // scores pairs
  std::vector<std::string> labels;  // of a model with a classification head, a reranker's, too
  int64_t created = 0;              // unix seconds, when it was loaded
};

template <typename T>
using Outcome = std::variant<T, Error>;

}  // namespace akin::serve
