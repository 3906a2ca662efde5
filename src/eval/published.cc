#include "eval/published.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/error.h"

namespace akin::eval {
namespace {

struct ModelRow {
  std::string_view name;
  uint32_t parameters;  // in hundred thousands, 0: not known
};
struct SourceRow {
  std::string_view revision, mteb_version;
};
struct ScoreRow {
  uint8_t model, task, source, split;
  int32_t millionths;
};

#include "eval/published_scores.inc"

// Rows of one model; kScores is sorted by model.
std::span<const ScoreRow> rows_of(std::string_view model) {
  const auto* found = std::find_if(std::begin(kModels), std::end(kModels),
                                   [&](const ModelRow& row) { return row.name == model; });
  if (found == std::end(kModels)) return {};
  const auto number = static_cast<uint8_t>(found - std::begin(kModels));
  const auto [begin, end] =
      std::equal_range(std::begin(kScores), std::end(kScores), ScoreRow{number, 0, 0, 0, 0},
                       [](const ScoreRow& a, const ScoreRow& b) { return a.model < b.model; });
  return {begin, end};
}

PublishedScore expand(const ScoreRow& row) {
  return {.model = kModels[row.model].name,
          .task = kTasks[row.task].name,
          .type = kTasks[row.task].type,
          .score = row.millionths / 1e6,
          .split = kSplits[row.split],
          .revision = kSources[row.source].revision,
          .mteb_version = kSources[row.source].mteb_version};
}

bool same_letters(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// "validation+test" is the mean of two splits; both get it, so that the mean over them is right.
std::vector<std::string> splits_of(std::string_view split) {
  if (const size_t plus = split.find('+'); plus != split.npos) {
    return {std::string(split.substr(0, plus)), std::string(split.substr(plus + 1))};
  }
  return {std::string(split.substr(0, split.find(' ')))};
}

store::TaskResult result_of(const PublishedScore& score) {
  store::TaskResult result;
  result.task_name = score.task;
  result.dataset_revision = "";
  result.mteb_version = score.mteb_version;
  for (auto& split : splits_of(score.split)) {
    result.scores.push_back({std::move(split),
                             {{{"main_score", score.score},
                               {"hf_subset", "default"},
                               {"languages", nlohmann::ordered_json::array()}}}});
  }
  result.extra["akin"] = {{"task_type", score.type}, {"published", score.revision}};
  return result;
}

}  // namespace

std::span<const std::string_view> published_models() {
  static const auto names = [] {
    std::array<std::string_view, std::size(kModels)> out;
    for (size_t i = 0; i < out.size(); ++i) out[i] = kModels[i].name;
    return out;
  }();
  return names;
}

std::span<const PublishedTask> published_tasks() { return kTasks; }

std::string_view find_published_model(std::string_view model) {
  for (const auto& row : kModels) {
    if (same_letters(row.name, model)) return row.name;
  }
  std::string_view found;
  for (const auto& row : kModels) {
    if (!same_letters(row.name.substr(row.name.find('/') + 1), model)) continue;
    if (!found.empty()) return {};
    found = row.name;
  }
  return found;
}

std::optional<PublishedScore> published_score(std::string_view model, std::string_view task) {
  for (const auto& row : rows_of(find_published_model(model))) {
    if (kTasks[row.task].name == task) return expand(row);
  }
  return {};
}

std::vector<PublishedScore> published_scores(std::string_view model) {
  std::vector<PublishedScore> out;
  for (const auto& row : rows_of(find_published_model(model))) out.push_back(expand(row));
  return out;
}

RunResults published_run(std::string_view model) {
  const auto name = find_published_model(model);
  if (name.empty()) {
    throw_error(ErrorKind::not_found, "published", "no published scores of {} are built in{}",
                quote(model), did_you_mean(model, published_models()));
  }
  RunResults run;
  run.model = name;
  run.published = true;
  for (const auto& score : published_scores(name)) run.tasks.push_back(result_of(score));
  for (const auto& row : kModels) {
    if (row.name == name) run.facts.parameters = uint64_t{row.parameters} * 100000;
  }
  return run;
}

}  // namespace akin::eval
