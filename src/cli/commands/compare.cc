// akin compare: two runs of an evaluation side by side.
#include "eval/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "eval/benchmarks.h"
#include "eval/report_html.h"

namespace akin::cli {
namespace {

struct CompareOptions {
  std::vector<std::string> runs;
  std::string benchmark, report;
  size_t resamples = 2000;
  uint64_t seed = 42;
  double confidence = 0.95;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+runs=RUN", runs,
      "two runs: a folder of results (MODEL/REVISION, or one above it that holds one run), one "
      "task file, or published:ORG/NAME for scores that are built in");
    v("benchmark=NAME", benchmark,
      "count only this benchmark's tasks and splits, as its leaderboard does");
    v("report=FILE", report, "also write one HTML file with tables and charts");
    v("resamples=N", resamples, "resamples of the bootstrap and of the randomisation test");
    v("seed=N", seed, "seed of the resampling");
    v("confidence=P", confidence, "level of the intervals");
  }
};

constexpr CommandInfo kInfo = {
    "compare", "two runs of an evaluation: tasks, means, significance, configuration",
    "Lays the results of two runs side by side: a table of tasks, means over tasks and over types, "
    "and every field of configuration in which the runs differ. Reads result files of akin eval "
    "and of the mteb package, also old ones.\n"
    "Where single items (queries, pairs, experiments) are on file for both runs, the difference of "
    "a task gets a bootstrap interval and the p-value of a two-sided randomisation test over "
    "paired items; the difference of the means gets both over tasks. Only tasks that both runs "
    "have are counted.",
    "akin compare results/org__a/main results/org__b/main\n"
    "akin compare results/org__a/main published:BAAI/bge-small-zh-v1.5 --report compare.html\n"
    "akin compare results/org__a/main results/org__a/main/experiments/int8 --json"};

std::string points(const std::optional<double>& score) {
  return score ? fmt::format("{:.2f}", 100 * *score) : "-";
}

std::string signed_points(double difference) { return fmt::format("{:+.2f}", 100 * difference); }

// "[-0.31, +0.42]  p 0.041", or why there is none.
std::string test_words(const std::optional<eval::Difference>& test, const std::string& untested) {
  if (!test) return untested;
  return fmt::format("[{}, {}]  p {:.4f}  {} {}", signed_points(test->low),
                     signed_points(test->high), test->p, thousands(test->items), test->unit);
}

size_t task_columns(const eval::Comparison& comparison) {
  size_t width = std::string_view("PairClassification (10)").size();
  for (const auto& task : comparison.tasks) width = std::max(width, display_width(task.task));
  return std::min<size_t>(width, 44);
}

void print_row(Context& context, size_t width, const std::string& name, const std::string& a,
               const std::string& b, const std::string& difference, const std::string& rest) {
  context.print("{}  {:>7}  {:>7}  {:>7}{}{}\n", fit(name, width), a, b, difference,
                rest.empty() ? "" : "  ", rest);
}

void print_tasks(const eval::Comparison& comparison, Context& context) {
  const size_t width = task_columns(comparison);
  context.write(bold(fmt::format("{}  {:>7}  {:>7}  {:>7}  interval and test of B - A",
                                 fit("task", width), "A", "B", "B - A"),
                     context.color()) +
                "\n");
  std::string type;
  for (const auto& task : comparison.tasks) {
    if (task.type != type) {
      type = task.type;
      context.write(dim(printable(type), context.color()) + "\n");
    }
    print_row(context, width, task.task, points(task.a.score), points(task.b.score),
              task.difference ? signed_points(*task.difference) : "-",
              printable(test_words(task.tested, task.untested)));
  }
  context.write("\n");
  for (size_t i = 0; i < comparison.a.types.size(); ++i) {
    const auto &a = comparison.a.types[i], &b = comparison.b.types[i];
    print_row(context, width, fmt::format("{} ({})", a.type, a.tasks), points(a.mean),
              points(b.mean), a.mean && b.mean ? signed_points(*b.mean - *a.mean) : "-", "");
  }
  const auto &a = comparison.a, &b = comparison.b;
  print_row(context, width, fmt::format("mean over {} tasks", a.tasks.size()), points(a.mean_task),
            points(b.mean_task),
            a.mean_task && b.mean_task ? signed_points(*b.mean_task - *a.mean_task) : "-",
            test_words(comparison.mean_task, ""));
  print_row(context, width, fmt::format("mean over {} types", a.types.size()), points(a.mean_type),
            points(b.mean_type),
            a.mean_type && b.mean_type ? signed_points(*b.mean_type - *a.mean_type) : "-", "");
}

void print_only(const std::vector<std::string>& tasks, std::string_view side, Context& context) {
  if (tasks.empty()) return;
  std::string names;
  for (size_t i = 0; i < std::min<size_t>(tasks.size(), 12); ++i) {
    names += (i > 0 ? ", " : "") + printable(tasks[i]);
  }
  context.print("only in {} ({}): {}{}\n", side, tasks.size(), names,
                tasks.size() > 12 ? ", ..." : "");
}

void print_config(const eval::Comparison& comparison, Context& context) {
  if (comparison.published) {
    context.write("\nPublished scores have no configuration to compare.\n");
    return;
  }
  if (comparison.config.empty()) {
    context.write("\nThe configurations on file are the same.\n");
    return;
  }
  context.write("\n" + bold("configuration that differs", context.color()) + "\n");
  for (const auto& field : comparison.config) {
    context.print("{}: {}\n", printable(field.place), printable(field.field));
    context.print("  A {}\n  B {}\n", field.a.empty() ? "(not there)" : clip(field.a, 160),
                  field.b.empty() ? "(not there)" : clip(field.b, 160));
  }
}

int run(CompareOptions& options, Context& context) {
  if (options.runs.size() != 2) {
    throw_error(ErrorKind::usage, "RUN", "got {} runs, expected two: akin compare A B",
                options.runs.size());
  }
  if (!options.report.empty()) check_output("--report", options.report);
  const auto a = eval::load_run(options.runs[0]), b = eval::load_run(options.runs[1]);
  eval::CompareOptions how;
  how.resamples = options.resamples;
  how.seed = options.seed;
  how.confidence = options.confidence;
  if (!options.benchmark.empty()) {
    for (const auto& spec : eval::benchmark_tasks(options.benchmark)) {
      how.tasks.push_back(eval::counted_task(spec));
    }
  }
  const auto comparison = eval::compare_runs(a, b, how);
  if (comparison.tasks.empty()) {
    throw_error(ErrorKind::not_found, "compare",
                "the two runs have no task in common: A has {} tasks, B has {}", a.tasks.size(),
                b.tasks.size());
  }
  if (!options.report.empty()) {
    eval::ReportOptions report;
    report.benchmark = eval::benchmark_name(options.benchmark);
    report.tasks = how.tasks;
    write_file(options.report, eval::comparison_html(a, b, comparison, report));
  }
  if (context.json()) {
    context.print_json(eval::comparison_json(comparison));
    return 0;
  }
  context.print("A  {}  {}\nB  {}  {}\n\n", printable(comparison.label_a), printable(a.revision),
                printable(comparison.label_b), printable(b.revision));
  print_tasks(comparison, context);
  context.print("\nB is better on {} tasks, worse on {}, equal on {}\n", comparison.wins_b,
                comparison.wins_a, comparison.ties);
  print_only(comparison.only_a, "A", context);
  print_only(comparison.only_b, "B", context);
  print_config(comparison, context);
  if (!options.report.empty()) context.say("report in " + options.report);
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_compare_command() {
  return std::make_unique<CommandOf<CompareOptions>>(kInfo, run);
}

}  // namespace akin::cli
