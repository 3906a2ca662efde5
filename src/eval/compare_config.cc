// Every field of configuration in which two runs differ: what model_meta.json, run_settings.jsonl
// and the task files say besides scores, times and dates.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "eval/compare.h"

namespace akin::eval {
namespace {

using Json = nlohmann::ordered_json;
using Fields = std::map<std::string, std::string>;  // path -> value as JSON

constexpr size_t kMaxDepth = 12;
constexpr size_t kMaxFields = 20000;

// Measurements and dates, which differ between any two runs and configure nothing.
bool is_measurement(std::string_view key) {
  constexpr std::array<std::string_view, 14> kKeys = {
      "evaluation_time", "date",   "kg_co2_emissions", "evaluation_phases", "encode_seconds",
      "seconds",         "texts",  "tokens",           "texts_per_second",  "tokens_per_second",
      "encoded",         "cached", "interval",         "timestamp"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

void flatten(const Json& value, const std::string& path, size_t depth, Fields& out) {
  if (out.size() >= kMaxFields) return;
  if (value.is_object() && !value.empty() && depth < kMaxDepth) {
    for (const auto& [key, member] : value.items()) {
      if (!is_measurement(key))
        flatten(member, path.empty() ? key : fmt::format("{}.{}", path, key), depth + 1, out);
    }
    return;
  }
  if (value.is_null()) return;  // null and absent say the same
  out[path] = value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Fields task_fields(const store::TaskResult& result) {
  Fields out;
  const auto text = [](const std::string& value) {
    return Json(value).dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  if (!result.dataset_revision.empty()) out["dataset_revision"] = text(result.dataset_revision);
  if (!result.mteb_version.empty()) out["mteb_version"] = text(result.mteb_version);
  Json slices = Json::array();
  for (const auto& split : result.scores) {
    for (const auto& entry : split.entries) {
      slices.push_back(split.split + "/" + store::subset_name(entry));
    }
  }
  out["splits"] = slices.dump(-1, ' ', false, Json::error_handler_t::replace);
  flatten(result.extra, "", 0, out);
  return out;
}

void add_differences(const std::string& place, const Fields& a, const Fields& b,
                     std::vector<ConfigDifference>& out) {
  std::set<std::string> keys;
  for (const auto& [key, value] : a) keys.insert(key);
  for (const auto& [key, value] : b) keys.insert(key);
  const auto get = [](const Fields& fields, const std::string& key) {
    const auto found = fields.find(key);
    return found == fields.end() ? std::string() : found->second;
  };
  for (const auto& key : keys) {
    auto of_a = get(a, key), of_b = get(b, key);
    if (of_a != of_b) out.push_back({place, key, std::move(of_a), std::move(of_b)});
  }
}

// The same field with the same two values in several tasks becomes one row.
std::vector<ConfigDifference> merge_tasks(const std::vector<ConfigDifference>& rows) {
  std::vector<ConfigDifference> out;
  std::map<std::array<std::string, 3>, std::pair<size_t, size_t>> seen;  // -> row, tasks
  for (const auto& row : rows) {
    const auto [found, fresh] =
        seen.try_emplace({row.field, row.a, row.b}, std::pair(out.size(), size_t{1}));
    if (fresh) {
      out.push_back(row);
    } else {
      out[found->second.first].place = fmt::format("{} tasks", ++found->second.second);
    }
  }
  return out;
}

}  // namespace

std::vector<ConfigDifference> config_differences(const RunResults& a, const RunResults& b) {
  std::vector<ConfigDifference> out;
  if (a.published || b.published) return out;  // built-in scores have no configuration
  Fields model_a, model_b, run_a, run_b;
  flatten(a.meta, "", 0, model_a);
  flatten(b.meta, "", 0, model_b);
  model_a["name"] = Json(a.model).dump();
  model_b["name"] = Json(b.model).dump();
  if (!a.revision.empty()) model_a["revision"] = Json(a.revision).dump();
  if (!b.revision.empty()) model_b["revision"] = Json(b.revision).dump();
  add_differences("model", model_a, model_b, out);
  if (!a.experiment.empty()) run_a["experiment"] = Json(a.experiment).dump();
  if (!b.experiment.empty()) run_b["experiment"] = Json(b.experiment).dump();
  flatten(a.config, "", 0, run_a);
  flatten(b.config, "", 0, run_b);
  add_differences("run", run_a, run_b, out);
  std::vector<ConfigDifference> tasks;
  for (const auto& result : a.tasks) {
    if (const auto* other = b.find(result.task_name)) {
      add_differences(result.task_name, task_fields(result), task_fields(*other), tasks);
    }
  }
  for (auto& row : merge_tasks(tasks)) out.push_back(std::move(row));
  return out;
}

}  // namespace akin::eval
