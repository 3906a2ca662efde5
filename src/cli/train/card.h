// The model card (README.md) of a trained folder: what it was trained on, how, and with which
// scores.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "train/session.h"

namespace akin::cli {

std::string model_card(const train::SessionResult& result, const nlohmann::ordered_json& recipe,
                       const std::string& recipe_path);

}  // namespace akin::cli
