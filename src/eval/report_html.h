// Results of runs as one HTML file that needs nothing else: leaderboard with published scores
// beside one's own, a table of tasks, charts of score against dims and against speed, configuration
// of each run. No scripts from elsewhere, no fonts, no pictures; readable in light and dark and on
// paper.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "eval/aggregate.h"
#include "eval/compare.h"

namespace akin::eval {

struct ReportOptions {
  std::string title = "Evaluation";
  std::string benchmark;           // its name; empty: whatever tasks there are
  std::vector<CountedTask> tasks;  // empty: tasks_of(runs)
  // Published models to show beside the runs: full names; empty: each run's own model, and those
  // that have a score for at least half of the tasks.
  std::vector<std::string> published;
  bool show_published = true;
  bool item_scores = true;  // confidence intervals from items/ beside the results
};

// A page in the reports' style around a body: what akin train's report is made with, too.
std::string report_page(const std::string& title, const std::string& body);

std::string report_html(std::span<const RunResults> runs, const ReportOptions& options = {});
void write_report(const std::filesystem::path& path, std::span<const RunResults> runs,
                  const ReportOptions& options = {});  // atomic

// The report of `akin compare`: the comparison's own table first, then the two runs.
std::string comparison_html(const RunResults& a, const RunResults& b, const Comparison& comparison,
                            const ReportOptions& options = {});

}  // namespace akin::eval
