// The tasks and benchmarks that are built in: rows of benchmarks.def, and the generated tests.
// Tasks of one's own come from a file (task_file.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "eval/task_spec.h"

namespace akin::eval {

std::vector<std::string_view> benchmark_names();
std::vector<std::string_view> builtin_task_names();

// The full name of a benchmark that goes by another one ("CMTEB"); any other name as it is.
std::string_view benchmark_name(std::string_view name);

// By full name or alias. Errors: usage, naming the nearest or all.
std::vector<TaskSpec> benchmark_tasks(std::string_view name);
TaskSpec builtin_task(std::string_view name);

}  // namespace akin::eval
