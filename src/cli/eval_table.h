// What akin eval shows: the table of scores, the list of tasks, and the same as JSON. Pure
// functions over results; writes nothing.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "eval/runner.h"
#include "eval/task_spec.h"

namespace akin::cli {

// Tasks down, experiments across (one column for each precision and length), means below; in
// points (0 to 100). Intervals where there is one column.
std::string eval_table(std::span<const eval::TaskRun> runs, size_t full_dims);
nlohmann::ordered_json eval_json(std::span<const eval::TaskRun> runs);

// One line for a finished task: "cosine_spearman 51.40 (48.9 to 53.7) in 0.3 s".
std::string result_words(const eval::TaskRun& run);

std::string task_list(std::span<const eval::TaskSpec> tasks);
nlohmann::ordered_json task_list_json(std::span<const eval::TaskSpec> tasks);

}  // namespace akin::cli
