#include "train/run_record.h"

namespace akin::train {

using nlohmann::json;

json decisive(Recipe& recipe) {
  json out = json::parse(recipe_record(recipe).dump());
  for (const char* key : {"log-every", "checkpoint-every", "workers"}) out["train"].erase(key);
  out.erase("save");
  return out;
}

std::string differences(const json& a, const json& b) {
  std::string out;
  for (const auto& change : json::diff(a, b)) {
    if (!out.empty()) out += ", ";
    out += change["path"].get<std::string>();
  }
  return out;
}

}  // namespace akin::train
