// Vectors for evaluation: the prompt that mteb would choose, each distinct text once, and a cache
// on disk. Not an Encoder: it always returns full-length vectors as the model leaves them; tasks
// cut them. Follows the prompt lookup of mteb 2.20's sentence-transformers wrapper.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mat.h"
#include "base/progress.h"
#include "core/encoder.h"

namespace akin::eval {

class EmbeddingCache;
struct TaskSpec;

enum class TextSide : uint8_t { none, query, document };

// How one text of a task is encoded: what the lookup found.
struct PromptChoice {
  std::string prompt;   // prepended to the text
  std::string adapter;  // LoRA adapter; empty: none
};
// Keys in the model's prompts, first hit wins: "{task}-{side}", "{task}", "{type}-{side}",
// "{type}", "{side}" (a document's also "passage" and "corpus"), then the model's default prompt.
// The spec's own prompts win over all. An adapter goes by task type, as Jina v3 names them.
PromptChoice choose_prompt(const EncoderInfo& info, const TaskSpec& spec, TextSide side);

class CachedEncoder {
 public:
  // cache may be null. Both must outlive this. Not thread-safe.
  CachedEncoder(Encoder& encoder, EmbeddingCache* cache) : encoder_(encoder), cache_(cache) {}

  size_t dim() const { return encoder_.info().dim; }
  bool normalizes() const { return encoder_.info().normalizes; }
  const EncoderInfo& info() const { return encoder_.info(); }
  Encoder& encoder() { return encoder_; }

  // Texts over the model's limit are cut at the right, as sentence-transformers does. [texts, dim].
  Mat<float> encode(std::span<const std::string> texts, const PromptChoice& prompt,
                    const ProgressSink& progress);
  Mat<float> encode(std::span<const std::string_view> texts, const PromptChoice& prompt,
                    const ProgressSink& progress);

  // Since the last call of take_counts().
  struct Counts {
    uint64_t texts = 0, encoded = 0, cached = 0, truncated = 0, tokens = 0;
    double seconds = 0;  // in the model
  };
  Counts take_counts();

 private:
  struct Missing;
  void encode_missing(const Missing& missing, const PromptChoice& prompt,
                      const ProgressSink& progress, MatView<float> out);
  Encoder& encoder_;
  EmbeddingCache* cache_;
  Counts counts_;
};

// The first `dim` numbers of each row; unit length again where the model's vectors are. dim ==
// vectors.cols() is a plain copy.
Mat<float> cut(MatView<const float> vectors, size_t dim, bool normalize);

}  // namespace akin::eval
