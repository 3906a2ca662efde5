// Sections of the HTML report, each a piece of HTML. Internal to the report.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "eval/aggregate.h"
#include "eval/compare.h"
#include "eval/report_html.h"

namespace akin::eval {

struct ReportRow {
  const RunResults* run = nullptr;
  std::string label;
  Summary summary;
  BordaRank borda;
};

struct ReportData {
  std::string title, benchmark;
  std::vector<CountedTask> tasks;
  std::vector<ReportRow> rows;  // own runs and published ones, best first
  bool intervals = true;

  std::vector<const ReportRow*> own() const;
};

std::string points_cell(std::optional<double> score, bool best = false);  // <td>, 0..1 as 0..100

std::string leaderboard_section(const ReportData& data);
std::string tasks_section(const ReportData& data);
std::string agreement_section(const ReportData& data);  // empty: no run has published scores
std::string types_section(const ReportData& data);
std::string dims_section(const ReportData& data);   // empty: fewer than two lengths
std::string speed_section(const ReportData& data);  // empty: fewer than two speeds
std::string configuration_section(const ReportData& data);
std::string comparison_section(const Comparison& comparison);

}  // namespace akin::eval
