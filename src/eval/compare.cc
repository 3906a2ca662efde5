#include "eval/compare.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "eval/bootstrap.h"
#include "eval/paired_statistic.h"
#include "store/item_scores.h"

namespace akin::eval {
namespace {

using Json = nlohmann::ordered_json;
using store::ItemScores;
using store::ItemStatistic;

// The same items of one slice, scored by both runs.
struct PairedSlice {
  std::vector<double> a, b, gold;
};
struct PairedItems {
  ItemStatistic statistic = ItemStatistic::mean;
  std::vector<PairedSlice> slices;
  std::string unit;
  size_t count() const {
    size_t out = 0;
    for (const auto& slice : slices) out += slice.a.size();
    return out;
  }
};

// The items of one run's task: from the file of items, else what its result file has.
struct TaskItems {
  std::vector<ItemScores> slices;
  bool of_result_file = false;  // experiments, not texts
};

std::string unit_of(const TaskItems& items, std::string_view type) {
  if (items.slices[0].statistic != ItemStatistic::mean) return "pairs";
  if (type == "Classification" || type == "MultilabelClassification") {
    return items.of_result_file ? "experiments" : "texts";
  }
  if (type == "Clustering") return "clusterings";
  return type == "Retrieval" || type == "Reranking" ? "queries" : "items";
}

void add_pair(PairedSlice& out, const ItemScores& a, size_t i, const ItemScores& b, size_t j) {
  if (std::isnan(a.values[i]) || std::isnan(b.values[j])) return;
  out.a.push_back(a.values[i]);
  out.b.push_back(b.values[j]);
  if (!a.gold.empty()) out.gold.push_back(a.gold[i]);
}

// False when the items cannot be paired.
bool pair_slice(const ItemScores& a, const ItemScores& b, PairedSlice& out) {
  if (a.statistic != b.statistic || a.metric != b.metric) return false;
  if (!a.ids.empty() && !b.ids.empty()) {
    std::unordered_map<std::string_view, size_t> places;
    for (size_t j = 0; j < b.ids.size(); ++j) places.emplace(b.ids[j], j);
    const size_t before = out.a.size();
    for (size_t i = 0; i < a.ids.size(); ++i) {
      const auto found = places.find(a.ids[i]);
      if (found == places.end()) continue;
      if (!a.gold.empty() && a.gold[i] != b.gold[found->second]) return false;
      add_pair(out, a, i, b, found->second);
    }
    return out.a.size() > before;
  }
  if (a.values.size() != b.values.size() || a.gold != b.gold) return false;
  for (size_t i = 0; i < a.values.size(); ++i) add_pair(out, a, i, b, i);
  return true;
}

// Values of `metric` in every experiment; empty if one of them lacks it, or their mean is not the
// main score.
std::vector<double> experiment_values(const Json& experiments, const char* metric, double main) {
  std::vector<double> values;
  double sum = 0;
  for (const auto& experiment : experiments) {
    if (!experiment.is_object()) return {};
    const auto value = experiment.find(metric);
    if (value == experiment.end() || !value->is_number()) return {};
    values.push_back(value->get<double>());
    sum += values.back();
  }
  if (values.empty() || std::abs(sum / static_cast<double>(values.size()) - main) > 2e-6) return {};
  return values;
}

void append_numbers(const Json& list, std::vector<double>& out) {
  if (!list.is_array()) return;
  for (const auto& value : list) {
    if (value.is_number()) out.push_back(value.get<double>());
  }
}

// Item scores that an entry of the result file itself has: experiments of a classification,
// v-measures of a clustering.
ItemScores scores_in_entry(const store::ScoreEntry& entry) {
  ItemScores items;
  items.subset = store::subset_name(entry);
  const auto main = store::main_score(entry);
  const auto experiments = entry.find("scores_per_experiment");
  if (main && experiments != entry.end() && experiments->is_array()) {
    for (const char* metric : {"accuracy", "f1", "lrap"}) {
      items.metric = metric;
      items.values = experiment_values(*experiments, metric, *main);
      if (!items.values.empty()) break;
    }
  } else if (const auto lists = entry.find("v_measures"); lists != entry.end()) {
    items.metric = "v_measure";
    append_numbers(*lists, items.values);
    if (lists->is_object()) {
      for (const auto& [level, values] : lists->items()) append_numbers(values, items.values);
    }
  }
  return items;
}

std::vector<ItemScores> scores_in_file(const store::TaskResult& result) {
  std::vector<ItemScores> out;
  for (const auto& split : result.scores) {
    for (const auto& entry : split.entries) {
      auto items = scores_in_entry(entry);
      items.split = split.split;
      if (items.values.size() >= 2) out.push_back(std::move(items));
    }
  }
  return out;
}

// Whether the items give the main scores: a file of another run may lie there.
bool items_fit(const std::vector<ItemScores>& items, const store::TaskResult& result) {
  for (const auto& slice : items) {
    const auto* split = result.find_split(slice.split);
    if (split == nullptr || slice.statistic != ItemStatistic::mean) continue;
    for (const auto& entry : split->entries) {
      const auto score = store::main_score(entry);
      if (!score || store::subset_name(entry) != slice.subset || slice.values.empty()) continue;
      double sum = 0;
      for (const double value : slice.values) sum += value;
      if (std::abs(sum / static_cast<double>(slice.values.size()) - *score) > 1e-3) return false;
    }
  }
  return true;
}

// What both runs have on file: items, or else the experiments of their result files.
struct BothItems {
  TaskItems a, b;
};
BothItems items_of(const RunResults& a, const RunResults& b, const std::string& task) {
  const auto read = [&](const RunResults& run) -> TaskItems {
    const auto& result = *run.find(task);
    if (!run.folder.empty()) {
      auto items = store::read_item_scores(run.folder, task);
      if (!items.empty() && items_fit(items, result)) return {std::move(items), false};
    }
    return {scores_in_file(result), true};
  };
  BothItems out{read(a), read(b)};
  if (out.a.of_result_file != out.b.of_result_file) {
    out = {{scores_in_file(*a.find(task)), true}, {scores_in_file(*b.find(task)), true}};
  }
  return out;
}

// All slices of a task. The mean of statistics that are no means is not tested.
std::string pair_items(const TaskItems& a, const TaskItems& b, std::string_view type,
                       PairedItems& out) {
  if (a.slices.empty() || b.slices.empty()) {
    return a.slices.empty() && b.slices.empty()
               ? "no item scores on file"
               : fmt::format("no item scores in {}", a.slices.empty() ? "A" : "B");
  }
  if (a.slices.size() > 1 && a.slices[0].statistic != ItemStatistic::mean) {
    return "several subsets whose statistic is no mean";
  }
  out.statistic = a.slices[0].statistic;
  out.unit = unit_of(a, type);
  for (const auto& slice : a.slices) {
    const auto same = std::find_if(b.slices.begin(), b.slices.end(), [&](const ItemScores& other) {
      return other.split == slice.split && other.subset == slice.subset;
    });
    if (slice.statistic != out.statistic || same == b.slices.end() ||
        !pair_slice(slice, *same, out.slices.emplace_back())) {
      return "the items of the two runs differ";
    }
    if (out.slices.back().a.empty()) return "a subset without items in common";
  }
  return out.count() < 2 ? "fewer than two items in common" : "";
}

// b against a: a rise is positive.
PairedTest test_items(const PairedItems& items, const BootstrapOptions& options) {
  if (items.statistic != ItemStatistic::mean) {
    const PairedSlice& only = items.slices.at(0);
    return paired_statistic_test(items.statistic, only.b, only.a, only.gold, options);
  }
  std::vector<std::vector<double>> differences;
  differences.reserve(items.slices.size());
  for (const auto& slice : items.slices) {
    auto& out = differences.emplace_back(slice.b);
    for (size_t i = 0; i < out.size(); ++i) out[i] -= slice.a[i];
  }
  return paired_test_of_slices(differences, options);
}

Difference to_difference(const PairedTest& test, size_t items, std::string unit) {
  return {.value = test.difference,
          .low = test.interval.low,
          .high = test.interval.high,
          .p = test.p_value,
          .items = items,
          .unit = std::move(unit)};
}

void test_task(const RunResults& a, const RunResults& b, const BootstrapOptions& options,
               TaskComparison& out) {
  const auto both = items_of(a, b, out.task);
  PairedItems items;
  out.untested = pair_items(both.a, both.b, out.type, items);
  if (!out.untested.empty()) return;
  try {
    out.tested = to_difference(test_items(items, options), items.count(), items.unit);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    out.untested = error.message();
  }
}

void compare_means(Comparison& out, const BootstrapOptions& options) {
  std::vector<double> a, b;
  for (const auto& task : out.tasks) {
    if (!task.difference) continue;
    a.push_back(*task.a.score);
    b.push_back(*task.b.score);
    out.wins_a += *task.difference < 0 ? 1 : 0;
    out.wins_b += *task.difference > 0 ? 1 : 0;
    out.ties += *task.difference == 0 ? 1 : 0;
  }
  if (a.size() < 2) return;
  out.mean_task = to_difference(paired_test(b, a, options), a.size(), "tasks");
}

// Without splits of its own, a task is compared on the splits that both runs have.
CountedTask common_splits(CountedTask task, const store::TaskResult& a,
                          const store::TaskResult& b) {
  if (!task.splits.empty()) return task;
  for (const auto& split : a.scores) {
    if (b.find_split(split.split) != nullptr) task.splits.push_back(split.split);
  }
  return task;
}

Json number_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json difference_json(const std::optional<Difference>& d) {
  if (!d) return nullptr;
  return {{"difference", d->value}, {"low", d->low},     {"high", d->high},
          {"p_value", d->p},        {"items", d->items}, {"unit", d->unit}};
}

Json summary_json(const Summary& summary) {
  Json types = Json::object();
  for (const auto& type : summary.types) {
    types[type.type] = {{"mean", number_or_null(type.mean)}, {"tasks", type.tasks}};
  }
  return {{"mean_task", number_or_null(summary.mean_task)},
          {"mean_type", number_or_null(summary.mean_type)},
          {"types", std::move(types)}};
}

}  // namespace

Comparison compare_runs(const RunResults& a, const RunResults& b, const CompareOptions& options) {
  const BootstrapOptions bootstrap{options.resamples, options.confidence, options.seed};
  Comparison out;
  out.label_a = a.label();
  out.label_b = b.label();
  const RunResults pair[] = {a, b};
  std::vector<CountedTask> common;
  for (const auto& task : options.tasks.empty() ? tasks_of(pair) : options.tasks) {
    const auto *in_a = a.find(task.name), *in_b = b.find(task.name);
    if (in_a != nullptr && in_b != nullptr) {
      common.push_back(common_splits(task, *in_a, *in_b));
    } else if (in_a != nullptr) {
      out.only_a.push_back(task.name);
    } else if (in_b != nullptr) {
      out.only_b.push_back(task.name);
    }
  }
  out.a = summarize(a, common);
  out.b = summarize(b, common);
  for (size_t i = 0; i < common.size(); ++i) {
    TaskComparison task;
    task.task = common[i].name;
    task.type = common[i].type;
    task.a = out.a.tasks[i];
    task.b = out.b.tasks[i];
    if (task.a.score && task.b.score) {
      task.difference = *task.b.score - *task.a.score;
      test_task(a, b, bootstrap, task);
    } else {
      task.untested = "no score in one of them";
    }
    out.tasks.push_back(std::move(task));
  }
  compare_means(out, bootstrap);
  out.config = config_differences(a, b);
  out.published = a.published || b.published;
  return out;
}

nlohmann::ordered_json comparison_json(const Comparison& comparison) {
  Json tasks = Json::array();
  for (const auto& task : comparison.tasks) {
    Json row = {{"task", task.task},
                {"type", task.type},
                {"a", number_or_null(task.a.score)},
                {"b", number_or_null(task.b.score)},
                {"difference", number_or_null(task.difference)},
                {"test", difference_json(task.tested)}};
    if (!task.untested.empty()) row["untested"] = task.untested;
    tasks.push_back(std::move(row));
  }
  Json config = Json::array();
  for (const auto& field : comparison.config) {
    config.push_back(
        {{"place", field.place}, {"field", field.field}, {"a", field.a}, {"b", field.b}});
  }
  return {{"a", comparison.label_a},
          {"b", comparison.label_b},
          {"summary_a", summary_json(comparison.a)},
          {"summary_b", summary_json(comparison.b)},
          {"mean_task", difference_json(comparison.mean_task)},
          {"wins_a", comparison.wins_a},
          {"wins_b", comparison.wins_b},
          {"ties", comparison.ties},
          {"only_a", comparison.only_a},
          {"only_b", comparison.only_b},
          {"tasks", std::move(tasks)},
          {"config", std::move(config)}};
}

}  // namespace akin::eval
