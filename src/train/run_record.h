// What tells one run from another: a resumed run and the processes of one run are compared by it.
// Internal to train/.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "train/recipe.h"

namespace akin::train {

// The part of a recipe that the weights depend on.
nlohmann::json decisive(Recipe& recipe);
// Paths of the fields in which two records differ; empty: in none.
std::string differences(const nlohmann::json& a, const nlohmann::json& b);

// Without the fields that may be lowered in the middle of a run, when a step cannot be taken:
// train.learning_rate and train.clip.
nlohmann::json without_rate(nlohmann::json decisive);

}  // namespace akin::train
