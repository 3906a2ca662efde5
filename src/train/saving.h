// What a run writes beside the weights of its model folder, and whether it will be able to.
// Internal to train/.
#pragma once

#include <filesystem>

#include "nn/text_model.h"
#include "train/recipe.h"

namespace akin::train {

// Errors: usage, for prompts that are none.
nn::SaveOptions save_options(const Recipe& recipe);

// What would make saving fail after the last step. Errors: usage (a default prompt or dims that the
// model lacks; a folder in `out` with the name of the result's that akin did not write).
void check_saving(const Recipe& recipe, const model::Model& model,
                  const std::filesystem::path& out);

}  // namespace akin::train
