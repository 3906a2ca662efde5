// The result files of the mteb package: <model>/<revision>/<Task>.json and model_meta.json, read in
// every form that mteb has written since 1.0, written byte for byte as its current release does.
// Not the computation of scores, not means over them (eval/aggregate.h).
// Follows the public schema of mteb 2.20 (TaskResult, ModelMeta).
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace akin::store {

// One subset of one split: the metrics in their order, then main_score, hf_subset, languages, and
// in files of recent versions mteb_version.
using ScoreEntry = nlohmann::ordered_json;

struct SplitScores {
  std::string split;
  std::vector<ScoreEntry> entries;
};

struct TaskResult {
  std::string dataset_revision;
  std::string task_name;
  std::string mteb_version;
  std::vector<SplitScores> scores;        // in file order
  std::optional<double> evaluation_time;  // seconds
  nlohmann::ordered_json kg_co2_emissions = nullptr;
  nlohmann::ordered_json date = nullptr;  // unix seconds as a float, or null
  nlohmann::ordered_json evaluation_phases = nullptr;
  // Members that mteb does not have; written after its own, and ignored by its readers. akin keeps
  // {"akin": {...}} here: "task_type", and the configuration of the run.
  nlohmann::ordered_json extra = nlohmann::ordered_json::object();

  const SplitScores* find_split(std::string_view split) const;
  size_t entries() const;  // of all splits
};

// main_score of an entry; the first number where an old file has [statistic, p-value]. Empty when
// absent, null or NaN.
std::optional<double> main_score(const ScoreEntry& entry);
std::string subset_name(const ScoreEntry& entry);  // hf_subset, "default" when absent

// Any form: current, 1.11 to 2.0, and the one before 1.11. Names that mteb has changed since are
// brought to today's. `fallback_name` names the task when the file does not (its stem).
// Errors: not_found, bad_format naming file and member.
TaskResult read_task_result(const std::filesystem::path& path);
TaskResult parse_task_result(std::string_view json, const std::string& where,
                             std::string_view fallback_name = {});

// The bytes of the file: indent 2, ASCII only, floats under "scores" rounded to 6 decimals and
// spelled as Python spells them, NaN and Infinity as bare words, no newline at the end.
std::string task_result_json(const TaskResult& result);
void write_task_result(const std::filesystem::path& path, const TaskResult& result);  // atomic

// Python's json.dumps(value, indent=...), byte for byte.
std::string python_json(const nlohmann::ordered_json& value, size_t indent = 2);
// Python's round(x, decimals): the nearest double to the decimal number, exact halves to even.
double python_round(double x, int decimals);
// JSON as Python's json module reads it, NaN and Infinity included; of equal keys the last counts.
// Errors: bad_format, also for more than 64 levels or 8192 members.
nlohmann::ordered_json parse_python_json(std::string_view json, const std::string& where);

// "BAAI/bge-small-zh" -> "BAAI__bge-small-zh"; also " " -> "_". And back, for a folder name.
std::string model_folder_name(std::string_view model_name);
std::string model_name_of_folder(std::string_view folder);
// <root>/results/<model>/<revision>[/experiments/<experiment>]; an empty revision is
// "no_revision_available". Errors: usage, when a part would leave the root.
std::filesystem::path result_folder(const std::filesystem::path& root, std::string_view model_name,
                                    std::string_view revision, std::string_view experiment = {});

// model_meta.json. Members not named here are kept in their place in `all`.
struct ModelMeta {
  std::string name;
  std::string revision;
  std::vector<std::string> languages;
  std::optional<uint64_t> n_parameters;
  std::optional<uint64_t> n_embedding_parameters;
  std::optional<double> memory_usage_mb;
  std::optional<double> max_tokens;  // infinity: no limit
  std::optional<uint64_t> embed_dim;
  std::string similarity_fn_name;      // "cosine", "dot", ...
  std::vector<std::string> framework;  // ["Sentence Transformers"]
  bool use_instructions = false;
  std::string adapted_from;
  nlohmann::ordered_json all;  // the file as read; empty for a new one
};
ModelMeta read_model_meta(const std::filesystem::path& path);
std::string model_meta_json(const ModelMeta& meta);
void write_model_meta(const std::filesystem::path& path, const ModelMeta& meta);

}  // namespace akin::store
