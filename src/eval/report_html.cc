#include "eval/report_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "eval/published.h"
#include "eval/report_charts.h"
#include "eval/report_parts.h"

namespace akin::eval {
namespace {

#include "eval/report_style.inc"

// Published models worth a row: the runs' own models, then those that have scores for at least
// half of the tasks (and for two at least).
std::vector<std::string> published_for(std::span<const RunResults> runs,
                                       const std::vector<CountedTask>& tasks,
                                       const ReportOptions& options) {
  std::vector<std::string> out;
  if (!options.show_published) return out;
  const auto add = [&](std::string_view name) {
    const bool there = std::any_of(runs.begin(), runs.end(), [&](const RunResults& run) {
      return run.published && run.model == name;
    });
    if (!name.empty() && !there && std::find(out.begin(), out.end(), name) == out.end()) {
      out.emplace_back(name);
    }
  };
  if (!options.published.empty()) {
    for (const auto& name : options.published) add(find_published_model(name));
    return out;
  }
  const auto scored = [&](std::string_view model) {
    return static_cast<size_t>(std::count_if(
        tasks.begin(), tasks.end(),
        [&](const CountedTask& task) { return published_score(model, task.name).has_value(); }));
  };
  for (const auto& run : runs) {
    const auto name = find_published_model(run.model);
    if (!name.empty() && scored(name) > 0) add(name);
  }
  for (const auto name : published_models()) {
    if (const size_t n = scored(name); n >= 2 && 2 * n >= tasks.size()) add(name);
  }
  return out;
}

// Complete rows by mean, then partial ones by what they have.
void sort_rows(std::vector<ReportRow>& rows) {
  std::stable_sort(rows.begin(), rows.end(), [](const ReportRow& a, const ReportRow& b) {
    const auto key = [](const ReportRow& row) {
      return std::tuple(row.summary.mean_task.has_value(), row.summary.scored > 0,
                        row.summary.mean_task_of_scored);
    };
    return key(a) > key(b);
  });
}

ReportData make_data(std::span<const RunResults> runs, const std::vector<RunResults>& published,
                     const ReportOptions& options, std::vector<CountedTask> tasks) {
  ReportData data;
  data.title = options.title;
  data.benchmark = options.benchmark;
  data.tasks = std::move(tasks);
  data.intervals = options.item_scores;
  for (const auto& run : runs) data.rows.push_back({&run, run.label(), {}, {}});
  for (const auto& run : published) data.rows.push_back({&run, run.label(), {}, {}});
  std::vector<std::vector<std::optional<double>>> scores;
  for (auto& row : data.rows) {
    row.summary = summarize(*row.run, data.tasks);
    auto& line = scores.emplace_back();
    for (const auto& task : row.summary.tasks) line.push_back(task.score);
  }
  const auto ranks = borda_ranks(scores);
  for (size_t i = 0; i < ranks.size(); ++i) data.rows[i].borda = ranks[i];
  sort_rows(data.rows);
  return data;
}

std::string header(const ReportData& data) {
  const size_t own = data.own().size();
  return fmt::format(
      "<h1>{}</h1>\n<p class=\"mut\">{}{} task{}, {} run{}{}</p>\n", html_escape(data.title),
      data.benchmark.empty() ? "" : html_escape(data.benchmark) + ": ", data.tasks.size(),
      data.tasks.size() == 1 ? "" : "s", own, own == 1 ? "" : "s",
      data.rows.size() > own ? fmt::format(", {} published beside", data.rows.size() - own) : "");
}

std::string body_of(const ReportData& data) {
  std::string figures = types_section(data) + dims_section(data) + speed_section(data);
  if (!figures.empty()) figures = "<h2>Charts</h2>\n" + figures;
  return leaderboard_section(data) + figures + tasks_section(data) + agreement_section(data) +
         configuration_section(data);
}

std::string card(std::string_view name, const std::string& value, const std::string& note) {
  return fmt::format(
      "<div class=\"card\"><span class=\"mut small\">{}</span><b>{}</b>"
      "<span class=\"mut small\">{}</span></div>\n",
      name, value, html_escape(note));
}

std::string points(const std::optional<double>& mean) {
  return mean ? fmt::format("{:.2f}", 100 * *mean) : "–";
}

std::string cards(const Comparison& comparison) {
  std::string out = "<div class=\"cards\">\n";
  out += card("A", points(comparison.a.mean_task), comparison.label_a);
  out += card("B", points(comparison.b.mean_task), comparison.label_b);
  if (const auto& mean = comparison.mean_task) {
    out += card("B − A, mean over tasks", fmt::format("{:+.2f}", 100 * mean->value),
                fmt::format("interval {:+.2f} to {:+.2f}, p = {:.4f}", 100 * mean->low,
                            100 * mean->high, mean->p));
  }
  out += card("tasks", std::to_string(comparison.tasks.size()),
              fmt::format("B better on {}, worse on {}, equal on {}", comparison.wins_b,
                          comparison.wins_a, comparison.ties));
  return out + "</div>\n";
}

std::string test_cells(const TaskComparison& task) {
  if (!task.tested) {
    return fmt::format("<td class=\"mut\" colspan=\"2\">{}</td><td></td>",
                       html_escape(task.untested));
  }
  return fmt::format("<td>{:+.2f} to {:+.2f}</td><td>{:.4f}</td><td>{} {}</td>",
                     100 * task.tested->low, 100 * task.tested->high, task.tested->p,
                     task.tested->items, html_escape(task.tested->unit));
}

std::string comparison_table(const Comparison& comparison) {
  std::string out =
      "<h2>Tasks, A against B</h2>\n<div class=\"wrap\"><table class=\"sort\"><thead><tr><th "
      "class=\"l\">task</th><th class=\"l\">type</th><th>A</th><th>B</th><th>B − A</th>"
      "<th>interval</th><th>p</th><th>items</th></tr></thead><tbody>\n";
  for (const auto& task : comparison.tasks) {
    out += fmt::format("<tr><td class=\"l\">{}</td><td class=\"l\">{}</td>", html_escape(task.task),
                       html_escape(task.type));
    out += points_cell(task.a.score) + points_cell(task.b.score);
    out += task.difference
               ? fmt::format("<td class=\"{}\">{:+.2f}</td>", *task.difference < 0 ? "neg" : "pos",
                             100 * *task.difference)
               : "<td class=\"mut\">–</td>";
    out += test_cells(task) + "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string config_table(const Comparison& comparison) {
  if (comparison.published) return {};
  if (comparison.config.empty()) {
    return "<h2>Configuration</h2><p>The configurations on file are the same.</p>\n";
  }
  std::string out =
      "<h2>Configuration that differs</h2>\n<div class=\"wrap\"><table><thead><tr><th "
      "class=\"l\">where</th><th class=\"l\">field</th><th class=\"l\">A</th><th class=\"l\">B</th>"
      "</tr></thead><tbody>\n";
  const auto value = [](const std::string& text) {
    return text.empty() ? "<span class=\"mut\">not there</span>"
                        : "<code>" + html_escape(text.substr(0, 2000)) + "</code>";
  };
  for (const auto& field : comparison.config) {
    out += fmt::format(
        "<tr><td class=\"l\">{}</td><td class=\"l\">{}</td><td class=\"wrapped\">{}</td><td "
        "class=\"wrapped\">{}</td></tr>\n",
        html_escape(field.place), html_escape(field.field), value(field.a), value(field.b));
  }
  return out + "</tbody></table></div>\n";
}

}  // namespace

std::string report_page(const std::string& title, const std::string& body) {
  return html_page(title, body, kStyle, kScript);
}

std::vector<const ReportRow*> ReportData::own() const {
  std::vector<const ReportRow*> out;
  for (const auto& row : rows) {
    if (!row.run->published) out.push_back(&row);
  }
  return out;
}

std::string report_html(std::span<const RunResults> runs, const ReportOptions& options) {
  if (runs.empty()) throw_error(ErrorKind::usage, "report", "there is no run to report on");
  auto tasks = options.tasks.empty() ? tasks_of(runs) : options.tasks;
  std::vector<RunResults> published;
  for (const auto& name : published_for(runs, tasks, options)) {
    published.push_back(published_run(name));
  }
  const auto data = make_data(runs, published, options, std::move(tasks));
  return report_page(options.title, header(data) + body_of(data));
}

void write_report(const std::filesystem::path& path, std::span<const RunResults> runs,
                  const ReportOptions& options) {
  write_file(path, report_html(runs, options));
}

std::string comparison_html(const RunResults& a, const RunResults& b, const Comparison& comparison,
                            const ReportOptions& options) {
  const RunResults runs[] = {a, b};
  auto tasks = options.tasks.empty() ? tasks_of(runs) : options.tasks;
  std::vector<RunResults> published;
  for (const auto& name : published_for(runs, tasks, options)) {
    published.push_back(published_run(name));
  }
  const auto data = make_data(runs, published, options, std::move(tasks));
  const std::string title = fmt::format("{} against {}", comparison.label_a, comparison.label_b);
  std::string body = fmt::format("<h1>{}</h1>\n", html_escape(title)) + cards(comparison);
  body += comparison_section(comparison) + comparison_table(comparison) + config_table(comparison);
  return report_page(title, body + body_of(data));
}

}  // namespace akin::eval
