// A PEFT LoRA adapter folder, read and written: adapter_config.json and adapter_model.safetensors,
// as low-rank pairs by module path. Changes no weight: how a pair is applied is the model's
// business. Follows huggingface/peft.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "store/safetensors.h"

namespace akin::store {

// W' = W + scaling * B A.  Shapes: a [r, in], b [out, r]; of an embedding a [r, V], b [D, r].
struct LoraPair {
  Tensor a, b;        // borrowed from PeftFolder::files
  float scaling = 0;  // alpha / r, or alpha / sqrt(r) with use_rslora; per module
  bool embedding = false;
};

struct PeftFolder {
  TensorFiles files;
  std::string base_model;  // base_model_name_or_path; may be empty
  int64_t r = 0;
  double alpha = 0;
  bool use_rslora = false;
  std::vector<std::string> target_modules;  // as given; one entry for a regular expression
  // "encoder.layer.0.attention.self.query" -> pair; the prefix base_model.model. is taken off.
  std::map<std::string, LoraPair, std::less<>> pairs;
  std::vector<std::string> ignored_keys;  // of adapter_config.json, read by nobody here
};

bool is_peft_folder(const std::filesystem::path& folder);  // has an adapter_config.json
// Errors: not_found; bad_format (half a pair, shapes that do not fit r); unsupported naming the
// method (DoRA, IA3, ...) or option that akin does not read.
PeftFolder read_peft_folder(const std::filesystem::path& folder);

// What is written: scaling is of every pair; a module whose rank is not `r` is named in the
// config's patterns.
struct PeftWriting {
  std::string base_model;  // base_model_name_or_path
  int64_t r = 0;
  double scaling = 1, dropout = 0;
  bool use_rslora = false;
  std::vector<std::string> target_modules;
  std::map<std::string, LoraPair, std::less<>> pairs;  // by module path, without the prefix
};
// Makes the folder. Errors: io.
void write_peft_folder(const std::filesystem::path& folder, const PeftWriting& adapter);

}  // namespace akin::store
