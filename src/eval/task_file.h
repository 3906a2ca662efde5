// Tasks of one's own, declared in a TOML file: any local dataset becomes an evaluation task. See
// docs/eval.md for the form. Reads specs only; datasets are opened by the runner.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "eval/task_spec.h"

namespace akin::eval {

// Errors: not_found; bad_format naming file, line and key: syntax, an unknown key or type, a
// missing one, a name that is there twice.
std::vector<TaskSpec> read_task_file(const std::filesystem::path& path);
std::vector<TaskSpec> parse_task_file(std::string_view toml, const std::string& where);

}  // namespace akin::eval
