// Opens a model with rotary positions in place of its table of absolute ones
// (model/rotary_start.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "nn/text_model.h"

namespace akin::nn {

struct RotaryOptions {
  uint64_t max_tokens = 0;  // that it reads; 0: as many as the model in the folder
  double base = 10000;
};

// `work`: where the changed folder is written; a model that is rotary already is opened as it is.
// Errors: those of write_rotary_start and TextModel::open.
std::unique_ptr<TextModel> open_rotary(const std::filesystem::path& folder,
                                       const std::filesystem::path& work,
                                       const RotaryOptions& rotary, const TextModelOptions& options,
                                       const model::LoadOptions& load);
// The same of a model that does not exist yet.
std::unique_ptr<TextModel> make_rotary(const ScratchSpec& spec, const std::filesystem::path& work,
                                       const RotaryOptions& rotary,
                                       const TextModelOptions& options);

}  // namespace akin::nn
