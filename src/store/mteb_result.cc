// mteb's task files: reading the current form and the forms of 1.11 to 2.0, writing the current
// one. The form before 1.11 is turned into this one in mteb_old.cc. No means, no comparison.
#include "store/mteb_result.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "store/mteb_old.h"

namespace akin::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxBytes = uint64_t{1} << 26;
constexpr std::array<std::string_view, 8> kMembers = {
    "dataset_revision", "task_name",        "mteb_version", "scores",
    "evaluation_time",  "kg_co2_emissions", "date",         "evaluation_phases"};

[[noreturn]] void fail(const std::string& where, std::string_view member, const Json& got,
                       std::string_view expected) {
  throw_error(ErrorKind::bad_format, where, "\"{}\": expected {}, got {}", member, expected,
              quote(got.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

std::string text_member(const Json& root, std::string_view name, const std::string& where) {
  const auto found = root.find(name);
  if (found == root.end() || found->is_null()) return {};
  if (!found->is_string()) fail(where, name, *found, "a string or null");
  return found->get<std::string>();
}

std::optional<double> seconds_member(const Json& root, const std::string& where) {
  const auto found = root.find("evaluation_time");
  if (found == root.end() || found->is_null()) return {};
  if (!found->is_number()) fail(where, "evaluation_time", *found, "seconds or null");
  return found->get<double>();
}

// One entry as current readers want it. `mteb_version`: the file's own.
ScoreEntry read_entry(Json entry, const std::string& split, const std::string& mteb_version,
                      const std::string& where) {
  if (!entry.is_object()) {
    fail(where, "scores." + split, entry, "a list of objects, one for each subset");
  }
  flatten_measures(entry);
  const auto languages = entry.find("languages");
  if (languages == entry.end()) {
    entry["languages"] = Json::array();
  } else if (!languages->is_array()) {
    fail(where, "languages", *languages, "a list such as [\"eng-Latn\"]");
  }
  if (const auto subset = entry.find("hf_subset"); subset == entry.end()) {
    entry["hf_subset"] = "default";
  } else if (!subset->is_string()) {
    fail(where, "hf_subset", *subset, "a string such as \"default\"");
  }
  if (!mteb_version.empty() && !entry.contains("mteb_version")) {
    entry["mteb_version"] = mteb_version;
  }
  return entry;
}

TaskResult read_current(const Json& root, const std::string& where) {
  TaskResult result;
  result.dataset_revision = text_member(root, "dataset_revision", where);
  result.task_name = text_member(root, "task_name", where);
  result.mteb_version = text_member(root, "mteb_version", where);
  result.evaluation_time = seconds_member(root, where);
  for (const auto& [split, entries] : root["scores"].items()) {
    if (!entries.is_array()) fail(where, "scores." + split, entries, "a list of objects");
    auto& out = result.scores.emplace_back(SplitScores{split, {}});
    for (const auto& entry : entries) {
      out.entries.push_back(read_entry(entry, split, result.mteb_version, where));
    }
  }
  for (const auto& [key, value] : root.items()) {
    if (key == "kg_co2_emissions") result.kg_co2_emissions = value;
    if (key == "date") result.date = value;
    if (key == "evaluation_phases") result.evaluation_phases = value;
    if (std::find(kMembers.begin(), kMembers.end(), key) == kMembers.end()) {
      result.extra[key] = value;
    }
  }
  return result;
}

// Floats are rounded where mteb rounds them: in objects, and one level into lists.
void round_floats(Json& value) {
  for (auto& [key, member] : value.get_ref<Json::object_t&>()) {
    if (member.is_number_float()) {
      member = python_round(member.get<double>(), 6);
    } else if (member.is_object()) {
      round_floats(member);
    } else if (member.is_array()) {
      for (auto& item : member) {
        if (item.is_object()) round_floats(item);
        if (item.is_number_float()) item = python_round(item.get<double>(), 6);
      }
    }
  }
}

}  // namespace

const SplitScores* TaskResult::find_split(std::string_view split) const {
  for (const auto& candidate : scores) {
    if (candidate.split == split) return &candidate;
  }
  return nullptr;
}

size_t TaskResult::entries() const {
  size_t count = 0;
  for (const auto& split : scores) count += split.entries.size();
  return count;
}

std::optional<double> main_score(const ScoreEntry& entry) {
  const auto found = entry.find("main_score");
  if (found == entry.end()) return {};
  const Json* value = &*found;
  if (value->is_array() && !value->empty()) value = &value->front();
  if (!value->is_number()) return {};
  const double score = value->get<double>();
  if (!std::isfinite(score)) return {};
  return score;
}

std::string subset_name(const ScoreEntry& entry) {
  const auto found = entry.find("hf_subset");
  return found != entry.end() && found->is_string() ? found->get<std::string>() : "default";
}

TaskResult parse_task_result(std::string_view json, const std::string& where,
                             std::string_view fallback_name) {
  const Json root = parse_python_json(json, where);
  if (!root.is_object()) fail(where, "", root, "the object of a task's result");
  const auto scores = root.find("scores");
  TaskResult result;
  if (scores != root.end() && scores->is_object()) {
    result = read_current(root, where);
  } else if (root.contains("mteb_dataset_name")) {
    result = read_current(from_before_1_11(root, where), where);
  } else {
    throw_error(ErrorKind::bad_format, where,
                "not a result of mteb: no \"scores\" object and no \"mteb_dataset_name\"; give "
                "<model>/<revision>/<Task>.json");
  }
  if (result.task_name.empty()) result.task_name = fallback_name;
  if (result.task_name.empty()) {
    throw_error(ErrorKind::bad_format, where, "\"task_name\" is missing");
  }
  result.task_name = current_task_name(result.task_name);
  return result;
}

TaskResult read_task_result(const std::filesystem::path& path) {
  return parse_task_result(read_file(path, kMaxBytes), path.string(), path.stem().string());
}

std::string task_result_json(const TaskResult& result) {
  Json scores = Json::object();
  for (const auto& split : result.scores) {
    Json entries = Json::array();
    for (const auto& entry : split.entries) {
      entries.push_back(entry);
      if (entries.back().is_object()) round_floats(entries.back());
    }
    scores[split.split] = std::move(entries);
  }
  const auto text_or_null = [](const std::string& text) -> Json {
    return text.empty() ? Json(nullptr) : Json(text);
  };
  Json root = {
      {"dataset_revision", result.dataset_revision},
      {"task_name", result.task_name},
      {"mteb_version", text_or_null(result.mteb_version)},
      {"scores", std::move(scores)},
      {"evaluation_time", result.evaluation_time ? Json(*result.evaluation_time) : Json(nullptr)},
      {"kg_co2_emissions", result.kg_co2_emissions},
      {"date", result.date},
      {"evaluation_phases", result.evaluation_phases}};
  for (const auto& [key, value] : result.extra.items()) root[key] = value;
  return python_json(root);
}

void write_task_result(const std::filesystem::path& path, const TaskResult& result) {
  write_file(path, task_result_json(result));
}

std::string model_folder_name(std::string_view model_name) {
  std::string out;
  for (const char c : model_name) {
    if (c == '/') {
      out += "__";
    } else {
      out += c == ' ' ? '_' : c;
    }
  }
  return out;
}

std::string model_name_of_folder(std::string_view folder) {
  const size_t mark = folder.find("__");
  if (mark == folder.npos || mark == 0) return std::string(folder);
  return fmt::format("{}/{}", folder.substr(0, mark), folder.substr(mark + 2));
}

std::filesystem::path result_folder(const std::filesystem::path& root, std::string_view model_name,
                                    std::string_view revision, std::string_view experiment) {
  const auto checked = [&](std::string_view what, std::string_view name) {
    std::string folder = model_folder_name(name);
    if (folder.empty() || folder == "." || folder == ".." || folder.size() > 250 ||
        folder.find('\0') != folder.npos) {
      throw_error(ErrorKind::usage, what, "{} cannot be the name of a folder of results",
                  quote(name));
    }
    return folder;
  };
  auto folder = root / "results" / checked("model", model_name) /
                checked("revision", revision.empty() ? "no_revision_available" : revision);
  if (!experiment.empty()) folder = folder / "experiments" / checked("experiment", experiment);
  return folder;
}

}  // namespace akin::store
