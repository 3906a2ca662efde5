// The one interface through which every room sees a model: texts in, vectors out. Implemented by
// engine/ and nn/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mat.h"
#include "base/progress.h"

namespace akin {

// What to do with a text over max_tokens: refuse it, cut its end, its beginning or its middle, or
// read it in pieces (core/long_texts.h).
enum class Truncate : uint8_t { error, right, left, middle, chunk };
enum class Precision : uint8_t { f32, int8 };

struct EncodeOptions {
  std::string
      prompt_name;  // one of info().prompts; empty: the model's default prompt, if it has one
  std::optional<std::string> prompt;  // literal prompt, wins over prompt_name
  std::string task;                   // LoRA adapter name; empty: none (the base model)
  std::vector<std::string> tasks;     // one per text, wins over `task`; empty entries: none
  size_t dims = 0;                    // keep the first `dims` of the vector (Matryoshka); 0 = all
  bool allow_any_dims = false;        // accept dims the model does not declare
  bool normalize = true;              // unit length, after truncation to dims
  Truncate truncate = Truncate::error;
  ProgressSink progress;  // may be empty; called from the calling thread
};

// What happened, per call. Nothing is changed silently: counts here, and one log line each.
struct EncodeReport {
  uint64_t texts = 0, tokens = 0;  // tokens that went through the model, special ones included
  std::vector<size_t> truncated;   // indices of texts that were cut
  uint64_t chunked = 0;            // texts read in pieces
  uint64_t invalid_utf8 = 0;       // texts with bytes replaced by U+FFFD
};

struct EncoderInfo {
  std::string name;                   // folder or repository id
  std::string family;                 // ArchSpec::family
  std::string fingerprint;            // hash over weights, tokenizer, pooling, prompts, precision
  std::string pooling;                // "mean", "cls+mean", "none"
  std::string similarity = "cosine";  // cosine | dot | euclidean | manhattan
  size_t dim = 0;                     // length of a full vector
  size_t max_tokens = 0;              // longest text read, special tokens included; 0 = no limit
  uint64_t parameters = 0;
  bool normalizes = false;  // the folder ends in a Normalize module
  Precision precision = Precision::f32;
  std::map<std::string, std::string> prompts;
  std::string default_prompt_name;
  std::vector<std::string> tasks;       // LoRA adapters
  std::vector<size_t> matryoshka_dims;  // declared; empty: not a Matryoshka model
};

// Token vectors of one text (late chunking): row i belongs to bytes [begin, end) of the text;
// special tokens have begin == end.
struct TokenVectors {
  Mat<float> vectors;  // [tokens, hidden]
  std::vector<int32_t> ids;
  std::vector<uint32_t> begin, end;  // [tokens], byte offsets
};

class Encoder {
 public:
  virtual ~Encoder() = default;
  virtual const EncoderInfo& info() const = 0;
  // out: [texts.size(), dims or info().dim]. Thread-safe. Errors: usage, not_found (prompt, task),
  // too_long.
  virtual EncodeReport encode(std::span<const std::string_view> texts, const EncodeOptions& options,
                              MatView<float> out) = 0;
  // Errors: unsupported where a model has no token vectors.
  virtual TokenVectors encode_tokens(std::string_view text, const EncodeOptions& options) = 0;
  // Number of tokens of each text with the prompt, before truncation.
  virtual std::vector<uint32_t> count_tokens(std::span<const std::string_view> texts,
                                             const EncodeOptions& options) = 0;
};

// dims of a vector after options: checks them against info. Errors: usage.
size_t resolve_dims(const EncoderInfo& info, const EncodeOptions& options);
// The prompt text that options choose. Errors: not_found naming the known ones.
std::string resolve_prompt(const EncoderInfo& info, const EncodeOptions& options);
// Number of a task in info.tasks, -1 for empty. Errors: not_found naming the known ones.
int32_t resolve_task(const EncoderInfo& info, std::string_view task);
std::string_view precision_name(Precision precision);

}  // namespace akin
