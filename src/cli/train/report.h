// The report of a training run as one HTML page: curves of the loss, the rate and the dev scores,
// sources, and the recipe.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "train/session.h"

namespace akin::cli {

// `log` is the run's log.jsonl. Lines that are none of akin's are left out.
std::string training_report(const train::SessionResult& result,
                            const nlohmann::ordered_json& recipe, const std::filesystem::path& log);

}  // namespace akin::cli
