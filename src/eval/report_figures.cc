// The figures of the HTML report: which numbers each chart shows.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "eval/report_charts.h"
#include "eval/report_parts.h"

namespace akin::eval {
namespace {

constexpr size_t kMostInLegend = 8;

// Mean over the tasks that all of these rows have, so that the marks can be compared.
struct CommonMean {
  std::vector<double> means;  // one for each row, 0..100
  size_t tasks = 0;
};

CommonMean common_mean(const std::vector<const ReportRow*>& rows) {
  CommonMean out;
  out.means.resize(rows.size());
  if (rows.empty()) return out;
  for (size_t t = 0; t < rows[0]->summary.tasks.size(); ++t) {
    if (!std::all_of(rows.begin(), rows.end(), [&](const ReportRow* row) {
          return row->summary.tasks[t].score.has_value();
        })) {
      continue;
    }
    ++out.tasks;
    for (size_t r = 0; r < rows.size(); ++r) out.means[r] += *rows[r]->summary.tasks[t].score;
  }
  for (auto& mean : out.means) mean *= 100.0 / static_cast<double>(std::max<size_t>(out.tasks, 1));
  return out;
}

std::string task_words(size_t tasks) {
  return tasks == 1 ? "the one task" : fmt::format("the {} tasks", tasks);
}

std::string figure(std::string_view title, const std::string& svg, const std::string& legend,
                   const std::string& caption) {
  return fmt::format("<figure><h3>{}</h3>\n{}{}<figcaption>{}</figcaption></figure>\n",
                     html_escape(title), svg, legend, caption);
}

std::string legend(const std::vector<std::string>& names) {
  std::string out = "<ul class=\"key\">";
  for (size_t i = 0; i < names.size(); ++i) {
    out += fmt::format("<li class=\"s{}\"><i></i>{}</li>", i % kChartColors, html_escape(names[i]));
  }
  return out + "</ul>\n";
}

// "f32" and "int8" of one model are two series.
std::string series_name(const RunResults& run) {
  return run.facts.dtype.empty() ? run.model : fmt::format("{} {}", run.model, run.facts.dtype);
}

std::vector<const ReportRow*> with_fact(const ReportData& data, double (*fact)(const RunFacts&)) {
  std::vector<const ReportRow*> out;
  for (const auto* row : data.own()) {
    if (fact(row->run->facts) > 0 && row->summary.scored > 0) out.push_back(row);
  }
  return out;
}

size_t distinct(const std::vector<const ReportRow*>& rows, double (*fact)(const RunFacts&)) {
  std::set<double> values;
  for (const auto* row : rows) values.insert(fact(row->run->facts));
  return values.size();
}

}  // namespace

std::string types_section(const ReportData& data) {
  // One's own runs first: as they are, then experiments; then published ones.
  std::vector<const ReportRow*> rows;
  for (int turn = 0; turn < 3; ++turn) {
    for (const auto& row : data.rows) {
      const int kind = row.run->published ? 2 : row.run->experiment.empty() ? 0 : 1;
      if (kind == turn && row.summary.scored > 0 && rows.size() < kMostInLegend) {
        rows.push_back(&row);
      }
    }
  }
  if (rows.empty()) return {};
  std::vector<std::string> names;
  names.reserve(rows.size());
  for (const auto* row : rows) names.push_back(row->label);
  std::vector<DotRow> dots;
  for (size_t t = 0; t < rows[0]->summary.types.size(); ++t) {
    DotRow dot{rows[0]->summary.types[t].type, {}};
    for (const auto* row : rows) {
      const auto& mean = row->summary.types[t].mean;
      dot.values.push_back(mean ? std::optional(100 * *mean) : std::nullopt);
    }
    dots.push_back(std::move(dot));
  }
  const std::string svg = dot_chart(names, dots, "score by type of task");
  if (svg.empty()) return {};
  std::string caption = "Mean main score of each task type; a dot is missing where a task is.";
  if (rows.size() < data.rows.size()) {
    caption += fmt::format(" {} of {} rows of the leaderboard, one's own first.", rows.size(),
                           data.rows.size());
  }
  return figure("Score by type of task", svg, legend(names), caption);
}

std::string dims_section(const ReportData& data) {
  const auto dims = [](const RunFacts& facts) { return static_cast<double>(facts.dims); };
  const auto rows = with_fact(data, dims);
  if (distinct(rows, dims) < 2) return {};
  const auto means = common_mean(rows);
  if (means.tasks == 0) return {};
  std::vector<ChartSeries> series;
  for (size_t r = 0; r < rows.size(); ++r) {
    const std::string name = series_name(*rows[r]->run);
    auto found = std::find_if(series.begin(), series.end(),
                              [&](const ChartSeries& one) { return one.name == name; });
    if (found == series.end()) found = series.insert(series.end(), {name, {}});
    found->points.push_back({dims(rows[r]->run->facts), means.means[r], rows[r]->label});
  }
  for (auto& one : series) {
    std::sort(one.points.begin(), one.points.end(),
              [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
  }
  std::vector<std::string> names;
  names.reserve(series.size());
  for (const auto& one : series) names.push_back(one.name);
  const std::string svg = xy_chart(series, {.title = "score against dims",
                                            .x_label = "dims (log scale)",
                                            .y_label = "mean score",
                                            .lines = true});
  return figure("Score against length of vector", svg, legend(names),
                fmt::format("Mean over {} that all of these runs have.", task_words(means.tasks)));
}

std::string speed_section(const ReportData& data) {
  const auto speed = [](const RunFacts& facts) { return facts.texts_per_second; };
  const auto rows = with_fact(data, speed);
  if (distinct(rows, speed) < 2) return {};
  const auto means = common_mean(rows);
  if (means.tasks == 0) return {};
  std::vector<ChartSeries> series;
  for (size_t r = 0; r < rows.size(); ++r) {
    series.push_back(
        {rows[r]->label, {{speed(rows[r]->run->facts), means.means[r], rows[r]->label}}});
  }
  const std::string svg = xy_chart(series, {.title = "score against speed",
                                            .x_label = "texts per second (log scale)",
                                            .y_label = "mean score",
                                            .point_labels = true});
  return figure("Score against speed", svg, "",
                fmt::format("Mean over {} that all of these runs have; speed as each run recorded "
                            "it on its own machine. Up and right is better.",
                            task_words(means.tasks)));
}

std::string comparison_section(const Comparison& comparison) {
  std::vector<BarRow> bars;
  for (const auto& task : comparison.tasks) {
    if (!task.difference) continue;
    BarRow bar{task.task, 100 * *task.difference, {}};
    if (task.tested) bar.interval = {100 * task.tested->low, 100 * task.tested->high};
    bars.push_back(std::move(bar));
  }
  if (bars.empty()) return {};
  return figure("B − A in points", difference_chart(bars, "difference of B and A by task"), "",
                "Whiskers: bootstrap interval over paired items, where both runs have them.");
}

}  // namespace akin::eval
