// From task results to what a leaderboard shows: one score a task, means over tasks and over types,
// Borda ranks. Not significance (compare.h). Follows mteb 2.20: a task's score is the mean of
// main_score over the benchmark's splits and subsets; a mean is null when a task is missing.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eval/run_results.h"
#include "eval/task_spec.h"

namespace akin::eval {

// What counts: one task of a benchmark. Empty splits or subsets: all that a result has.
struct CountedTask {
  std::string name, type;
  std::vector<std::string> splits, subsets;
};

// A benchmark's task with its splits and subsets.
CountedTask counted_task(const TaskSpec& spec);

struct TaskScore {
  std::string task, type;
  std::optional<double> score;  // mean over splits and subsets; empty if any of them is missing
  size_t parts = 0;             // splits x subsets that it is the mean of
  std::string missing;          // why there is no score: "no result", "split validation"
};

struct TypeScore {
  std::string type;
  size_t tasks = 0, scored = 0;
  std::optional<double> mean;  // null unless all its tasks have scores
  double mean_of_scored = 0;   // over those that have one; 0 for none
};

struct Summary {
  std::vector<TaskScore> tasks;  // in the order asked for
  std::vector<TypeScore> types;  // in order of first task
  size_t scored = 0;
  std::optional<double> mean_task, mean_type;  // null unless every task has a score
  double mean_task_of_scored = 0, mean_type_of_scored = 0;
};

TaskScore task_score(const store::TaskResult* result, const CountedTask& task);
Summary summarize(const RunResults& run, std::span<const CountedTask> tasks);

// Type of a task: the result's own word ("akin": {"task_type"}), else the public benchmarks' table,
// else what its metrics look like, else "Other".
std::string task_type(const store::TaskResult& result);

// Every task that any run has a result for, by type and then as the public benchmarks order them.
std::vector<CountedTask> tasks_of(std::span<const RunResults> runs);

// mteb's Borda count. scores[m][t]: model m on task t. Per task models are ranked descending with
// ties sharing their average rank, rank r of n models gives n - r points, a missing score none;
// models are then ranked by points, ties sharing the best rank (1 = best).
struct BordaRank {
  double points = 0;
  size_t rank = 0;
};
std::vector<BordaRank> borda_ranks(const std::vector<std::vector<std::optional<double>>>& scores);

}  // namespace akin::eval
