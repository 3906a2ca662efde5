#include "eval/aggregate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "eval/published.h"

namespace akin::eval {
namespace {

using Json = nlohmann::ordered_json;

// What the metrics of a task that no table knows look like: the first key present decides.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kLooks = {
    {{"scores_per_experiment", "Classification"},
     {"v_measure", "Clustering"},
     {"ndcg_at_10", "Retrieval"},
     {"map", "Reranking"},
     {"max_ap", "PairClassification"},
     {"similarity_ap", "PairClassification"},
     {"cosine_ap", "PairClassification"},
     {"cosine_spearman", "STS"},
     {"accuracy", "Classification"}}};

size_t type_rank(std::string_view type) {
  constexpr std::array<std::string_view, 9> kOrder = {"Classification", "MultilabelClassification",
                                                      "Clustering",     "PairClassification",
                                                      "Reranking",      "Retrieval",
                                                      "BitextMining",   "STS",
                                                      "Summarization"};
  return static_cast<size_t>(std::find(kOrder.begin(), kOrder.end(), type) - kOrder.begin());
}

std::map<std::string_view, size_t> table_ranks() {
  std::map<std::string_view, size_t> out;
  const auto tasks = published_tasks();
  for (size_t i = 0; i < tasks.size(); ++i) out[tasks[i].name] = i;
  return out;
}

bool counted(const std::vector<std::string>& wanted, const std::string& name) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end();
}

// Published scores are means of a task as its benchmark counts it: they have no subsets.
bool is_published(const store::TaskResult& result) {
  const auto akin = result.extra.find("akin");
  return akin != result.extra.end() && akin->is_object() && akin->contains("published");
}

// Adds the main scores of one split; says what is missing. No subsets: all that there are.
std::string add_split(const store::SplitScores& split, const std::vector<std::string>& subsets,
                      double& sum, size_t& parts) {
  std::set<std::string> seen;
  for (const auto& entry : split.entries) {
    const std::string subset = store::subset_name(entry);
    if (!counted(subsets, subset)) continue;
    const auto score = store::main_score(entry);
    if (!score) return fmt::format("main_score of {} {}", split.split, subset);
    if (!seen.insert(subset).second) continue;
    sum += *score;
    ++parts;
  }
  for (const auto& subset : subsets) {
    if (!seen.contains(subset)) return fmt::format("subset {} of {}", subset, split.split);
  }
  if (seen.empty()) return fmt::format("split {} is empty", split.split);
  return {};
}

}  // namespace

CountedTask counted_task(const TaskSpec& spec) {
  CountedTask out{spec.name, spec.type, spec.splits, {}};
  for (const auto& subset : resolved_subsets(spec)) out.subsets.push_back(subset.name);
  return out;
}

TaskScore task_score(const store::TaskResult* result, const CountedTask& task) {
  TaskScore out;
  out.task = task.name;
  out.type = task.type;
  if (result == nullptr) {
    out.missing = "no result";
    return out;
  }
  if (out.type.empty()) out.type = task_type(*result);
  for (const auto& split : task.splits) {
    if (result->find_split(split) == nullptr) {
      out.missing = "split " + split;
      return out;
    }
  }
  const auto subsets = is_published(*result) ? std::vector<std::string>{} : task.subsets;
  double sum = 0;
  for (const auto& split : result->scores) {
    if (!counted(task.splits, split.split)) continue;
    out.missing = add_split(split, subsets, sum, out.parts);
    if (!out.missing.empty()) return out;
  }
  if (out.parts == 0) {
    out.missing = "no split";
    return out;
  }
  out.score = sum / static_cast<double>(out.parts);
  return out;
}

Summary summarize(const RunResults& run, std::span<const CountedTask> tasks) {
  Summary out;
  std::vector<double> sums;
  double total = 0;
  for (const auto& task : tasks) {
    out.tasks.push_back(task_score(run.find(task.name), task));
    const auto& score = out.tasks.back();
    auto type = std::find_if(out.types.begin(), out.types.end(),
                             [&](const TypeScore& row) { return row.type == score.type; });
    if (type == out.types.end()) {
      out.types.push_back({score.type, 0, 0, {}, 0});
      sums.push_back(0);
      type = std::prev(out.types.end());
    }
    ++type->tasks;
    if (!score.score) continue;
    ++type->scored;
    ++out.scored;
    total += *score.score;
    sums[static_cast<size_t>(type - out.types.begin())] += *score.score;
  }
  double type_total = 0;
  size_t types_scored = 0;
  for (size_t i = 0; i < out.types.size(); ++i) {
    auto& type = out.types[i];
    if (type.scored == 0) continue;
    type.mean_of_scored = sums[i] / static_cast<double>(type.scored);
    if (type.scored == type.tasks) type.mean = type.mean_of_scored;
    type_total += type.mean_of_scored;
    ++types_scored;
  }
  if (out.scored > 0) {
    out.mean_task_of_scored = total / static_cast<double>(out.scored);
    out.mean_type_of_scored = type_total / static_cast<double>(types_scored);
  }
  if (out.scored > 0 && out.scored == tasks.size()) {
    out.mean_task = out.mean_task_of_scored;
    out.mean_type = out.mean_type_of_scored;
  }
  return out;
}

std::string task_type(const store::TaskResult& result) {
  if (const auto akin = result.extra.find("akin"); akin != result.extra.end()) {
    if (akin->is_object()) {
      const auto type = akin->find("task_type");
      if (type != akin->end() && type->is_string()) return type->get<std::string>();
    }
  }
  for (const auto& task : published_tasks()) {
    if (task.name == result.task_name) return std::string(task.type);
  }
  for (const auto& split : result.scores) {
    for (const auto& entry : split.entries) {
      for (const auto& [key, type] : kLooks) {
        if (entry.contains(key)) return std::string(type);
      }
    }
  }
  return "Other";
}

std::vector<CountedTask> tasks_of(std::span<const RunResults> runs) {
  std::vector<CountedTask> out;
  std::set<std::string> seen;
  for (const auto& run : runs) {
    for (const auto& result : run.tasks) {
      if (seen.insert(result.task_name).second) {
        out.push_back({result.task_name, task_type(result), {}, {}});
      }
    }
  }
  const auto ranks = table_ranks();
  const auto place = [&](const CountedTask& task) {
    const auto found = ranks.find(task.name);
    return found == ranks.end() ? ranks.size() : found->second;
  };
  std::sort(out.begin(), out.end(), [&](const CountedTask& a, const CountedTask& b) {
    return std::tuple(type_rank(a.type), a.type, place(a), a.name) <
           std::tuple(type_rank(b.type), b.type, place(b), b.name);
  });
  return out;
}

std::vector<BordaRank> borda_ranks(const std::vector<std::vector<std::optional<double>>>& scores) {
  std::vector<BordaRank> out(scores.size());
  const size_t tasks = scores.empty() ? 0 : scores[0].size();
  for (size_t t = 0; t < tasks; ++t) {
    for (size_t m = 0; m < scores.size(); ++m) {
      if (!scores[m][t]) continue;
      size_t better = 0, equal = 0;
      for (const auto& other : scores) {
        if (!other[t]) continue;
        better += *other[t] > *scores[m][t] ? 1 : 0;
        equal += *other[t] == *scores[m][t] ? 1 : 0;
      }
      const double rank = static_cast<double>(better) + (static_cast<double>(equal) + 1) / 2;
      out[m].points += static_cast<double>(scores.size()) - rank;
    }
  }
  for (auto& row : out) {
    row.rank =
        1 + static_cast<size_t>(std::count_if(out.begin(), out.end(), [&](const BordaRank& other) {
          return other.points > row.points;
        }));
  }
  return out;
}

}  // namespace akin::eval
