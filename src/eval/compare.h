// Two runs side by side: a table of tasks, the difference of the means, whether the differences are
// more than chance, and every field of configuration in which the runs differ.
//
// Per task, items of both runs (queries, pairs, experiments) are paired and the difference of the
// main score is resampled: a paired bootstrap gives its interval, a randomisation test (labels of
// each pair swapped at random) its p-value. Over tasks, the tasks are the items. Where neither
// item scores nor experiments are on file, no interval is made up.
// Follows Smucker, Allan, Carterette, CIKM 2007, doi:10.1145/1321440.1321528.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eval/aggregate.h"

namespace akin::eval {

struct CompareOptions {
  size_t resamples = 2000;
  uint64_t seed = 42;
  double confidence = 0.95;
  std::vector<CountedTask> tasks;  // only these, with their splits; empty: all that both have
};

struct Difference {  // b - a
  double value = 0;
  double low = 0, high = 0;  // bootstrap percentile interval
  double p = 1;              // two-sided randomisation test
  size_t items = 0;
  std::string unit;  // what the items are: "queries", "pairs", "experiments", "tasks"
};

struct TaskComparison {
  std::string task, type;
  TaskScore a, b;
  std::optional<double> difference;  // b - a
  std::optional<Difference> tested;  // present where items of both runs pair up
  std::string untested;              // why not: "no item scores in A", "items differ"
};

struct ConfigDifference {
  std::string place;  // "model", "run", or a task's name; "12 tasks" where all of them agree
  std::string field;  // "mteb_version", "prompts.query"
  std::string a, b;   // values as JSON; empty: not there
};

struct Comparison {
  std::string label_a, label_b;
  Summary a, b;  // over the tasks that both have
  std::vector<TaskComparison> tasks;
  std::vector<std::string> only_a, only_b;  // tasks that one of them lacks
  std::optional<Difference> mean_task;      // tasks as items; needs two or more
  size_t wins_a = 0, wins_b = 0, ties = 0;
  std::vector<ConfigDifference> config;
  bool published = false;  // one of them: there is no configuration to compare
};

Comparison compare_runs(const RunResults& a, const RunResults& b,
                        const CompareOptions& options = {});
// Empty when one of them is published scores, which have no configuration.
std::vector<ConfigDifference> config_differences(const RunResults& a, const RunResults& b);
nlohmann::ordered_json comparison_json(const Comparison& comparison);

}  // namespace akin::eval
