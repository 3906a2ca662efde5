// The checks of akin doctor, one function each; a check returns findings and never throws for what
// is wrong with a folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/encoder.h"
#include "model/model.h"

namespace akin::cli {

enum class Verdict : uint8_t { ok, warn, fail };

struct Finding {
  Verdict verdict = Verdict::ok;
  std::string check;    // "weights"
  std::string message;  // what was found
  std::string fix;      // what to do; empty when ok
};
using Findings = std::vector<Finding>;

inline constexpr const char* kProbeFile = "akin_probe.json";

Findings check_files(const std::filesystem::path& folder);
// A reranker or a classifier: its head, and finite scores. Errors: as load_text_classifier.
Findings check_classifier(const std::filesystem::path& folder, size_t threads, Precision precision);
Findings check_weights(const model::Model& model);  // every number finite. Cost: reads all weights
// Tensors of the files that the model does not read; none is no finding.
Findings check_unused(const std::filesystem::path& folder, const model::Model& model);
Findings check_tokenizer(const model::Model& model);  // ids fit the embedding table
Findings check_settings(const model::Model& model);   // pooling, prompts, limits, ignored keys
Findings check_vectors(Encoder& encoder);  // finite, unit length, the same alone and in company
// Vectors of the probe texts against those on record in the folder. rounded: weights or
// computation are int8, the record may be of f32.
Findings check_probe(const std::filesystem::path& folder, Encoder& encoder,
                     const text::Tokenizer* tokenizer, bool rounded);
// Writes the record. Errors: io.
void write_probe(const std::filesystem::path& folder, Encoder& encoder,
                 const text::Tokenizer* tokenizer);

}  // namespace akin::cli
