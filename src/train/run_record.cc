#include "train/run_record.h"

#include <algorithm>

namespace akin::train {

using nlohmann::json;

json decisive(Recipe& recipe) {
  json out = json::parse(recipe_record(recipe).dump());
  for (const char* key : {"log-every", "checkpoint-every", "workers"}) out["train"].erase(key);
  out.erase("save");
  // Texts of a task get the prompt of that name.
  const auto has_task = [](const SourceTable& source) {
    return !source.task.empty() || !source.query_task.empty() || !source.document_task.empty();
  };
  if (std::any_of(recipe.sources.begin(), recipe.sources.end(), has_task))
    out["save"]["prompts"] = recipe.save.prompts;
  return out;
}

std::string differences(const json& a, const json& b) {
  std::string out;
  for (const auto& change : json::diff(a, b)) {
    std::string key;  // "/train/learning-rate" is train.learning_rate in a recipe
    for (const char c : change["path"].get<std::string>().substr(1)) {
      key += c == '/' ? '.' : c == '-' ? '_' : c;
    }
    out += (out.empty() ? "" : ", ") + key;
  }
  return out;
}

json without_rate(json decisive) {
  for (const char* key : {"learning-rate", "clip"}) decisive["train"].erase(key);
  return decisive;
}

}  // namespace akin::train
