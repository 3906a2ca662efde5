// What a model folder holds besides what model::Model says of it, kept so that a folder can be
// written again: its config.json, the tokenizer's files, tensors that nobody trains. Either read
// from a folder or made for a model that does not exist yet.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model/model.h"
#include "nn/text_model.h"
#include "store/safetensors.h"

namespace akin::nn {

struct ModelParts {
  model::Model model;
  std::string body;         // folder of config.json, weights and tokenizer, relative; often empty
  std::string config_json;  // empty: none
  std::map<std::string, std::string> files;    // beside config.json: name -> bytes
  store::TensorFiles tensors;                  // as in the folder, mapped; empty: from scratch
  std::vector<std::string> dense_activations;  // class names, as the folder spells them
};

// Errors: those of model::load_model.
ModelParts read_model_parts(const std::filesystem::path& folder, const model::LoadOptions& load);
// Tokenizer and licence files of a folder, by name.
std::map<std::string, std::string> read_side_files(const std::filesystem::path& folder);
// scratch.cc. Errors: usage, for sizes that do not fit together; those of the tokenizer's loader.
ModelParts make_scratch_parts(const ScratchSpec& spec);

}  // namespace akin::nn
