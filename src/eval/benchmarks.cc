#include "eval/benchmarks.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"

namespace akin::eval {
namespace {

struct TaskRow {
  std::string_view name, type, main_score, dataset, revision, splits, subset, language, settings,
      subtasks;
};
struct BenchmarkRow {
  std::string_view name, tasks;
};

#define AKIN_BENCHMARK(name, tasks)
constexpr TaskRow kTasks[] = {
#define AKIN_TASK(...) {__VA_ARGS__},
#include "eval/benchmarks.def"
#undef AKIN_TASK
    {"PasskeyTest", "LongContext", "ndcg_at_1", "", "",
     "test_256,test_512,test_1024,test_2048,test_4096,test_8192", "default", "eng-Latn",
     "generate=passkey", ""},
    {"NeedleTest", "LongContext", "ndcg_at_1", "", "",
     "test_256,test_512,test_1024,test_2048,test_4096,test_8192", "default", "eng-Latn",
     "generate=needle", ""},
};
#undef AKIN_BENCHMARK

#define AKIN_TASK(...)
constexpr BenchmarkRow kBenchmarks[] = {
#define AKIN_BENCHMARK(name, tasks) {name, tasks},
#include "eval/benchmarks.def"
#undef AKIN_BENCHMARK
};
#undef AKIN_TASK

// The other names that mteb knows its benchmarks by: older ones, and the short ones.
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"MTEB(eng, classic)", "MTEB(eng, v1)"},
    {"MTEB", "MTEB(eng, v1)"},
    {"MTEB(eng)", "MTEB(eng, v2)"},
    {"MTEB(Chinese)", "MTEB(cmn, v1)"},
    {"CMTEB", "MTEB(cmn, v1)"},
};

std::vector<std::string> split(std::string_view text, char mark) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find(mark), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

TaskSpec spec_of(const TaskRow& row) {
  TaskSpec spec;
  spec.name = row.name;
  spec.type = row.type;
  spec.main_score = row.main_score;
  spec.dataset = row.dataset;
  spec.revision = row.revision;
  spec.splits = split(row.splits, ',');
  spec.languages = {std::string(row.language)};
  if (row.subset != "default") spec.subsets.push_back({std::string(row.subset), {}});
  spec.subtasks = split(row.subtasks, ',');
  spec.where = row.name;
  for (const auto& setting : split(row.settings, ' ')) {
    const size_t equals = setting.find('=');
    AKIN_CHECK(equals != std::string::npos);
    set_setting(spec, std::string_view(setting).substr(0, equals),
                std::string_view(setting).substr(equals + 1), row.name);
  }
  return spec;
}

}  // namespace

std::vector<std::string_view> benchmark_names() {
  std::vector<std::string_view> out;
  for (const auto& row : kBenchmarks) out.push_back(row.name);
  return out;
}

std::string_view benchmark_name(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kAliases), std::end(kAliases),
                                         [&](const auto& row) { return row.first == name; });
  return found == std::end(kAliases) ? name : found->second;
}

std::vector<std::string_view> builtin_task_names() {
  std::vector<std::string_view> out;
  for (const auto& row : kTasks) out.push_back(row.name);
  return out;
}

std::vector<TaskSpec> benchmark_tasks(std::string_view name) {
  std::vector<TaskSpec> out;
  for (const auto& row : kBenchmarks) {
    if (row.name != benchmark_name(name)) continue;
    for (const auto& task : split(row.tasks, ',')) out.push_back(builtin_task(task));
    return out;
  }
  std::vector<std::string_view> aliases;
  for (const auto& [alias, full] : kAliases) aliases.push_back(alias);
  throw_error(ErrorKind::usage, "benchmark",
              "{} is not a benchmark; there are {}, also known as {}", quote(name),
              fmt::join(benchmark_names(), ", "), fmt::join(aliases, ", "));
}

TaskSpec builtin_task(std::string_view name) {
  for (const auto& row : kTasks) {
    if (row.name == name) return spec_of(row);
  }
  const auto names = builtin_task_names();
  const auto near = nearest(name, names.data(), names.size());
  throw_error(ErrorKind::usage, "tasks", "{} is not a built-in task; {}", quote(name),
              near.empty() ? std::string("akin eval --list shows them; tasks of your own go into a "
                                         "--tasks-file")
                           : fmt::format("did you mean \"{}\"?", near));
}

}  // namespace akin::eval
