// The tables of the HTML report: leaderboard, tasks, agreement with published scores,
// configuration.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/item_interval.h"
#include "eval/published.h"
#include "eval/report_charts.h"
#include "eval/report_parts.h"
#include "store/item_scores.h"

namespace akin::eval {
namespace {

using Json = nlohmann::ordered_json;

std::string count_words(uint64_t n) {
  if (n >= 1000000000) return fmt::format("{:.1f}B", static_cast<double>(n) / 1e9);
  if (n >= 10000000) return fmt::format("{:.0f}M", static_cast<double>(n) / 1e6);
  if (n >= 1000000) return fmt::format("{:.1f}M", static_cast<double>(n) / 1e6);
  if (n >= 1000) return fmt::format("{:.0f}k", static_cast<double>(n) / 1e3);
  return std::to_string(n);
}

std::string number_cell(double value, const std::string& words) {
  if (value <= 0) return "<td class=\"mut\">–</td>";
  return fmt::format("<td data-v=\"{}\">{}</td>", value, words);
}

// A mean; in italics, over what there is, when tasks are missing.
std::string mean_cell(const std::optional<double>& mean, double of_scored, size_t scored) {
  if (mean) return points_cell(mean);
  if (scored == 0) return points_cell({});
  return fmt::format("<td class=\"part\">{:.2f}</td>", 100 * of_scored);
}

// A column's head: the model without its organisation, with places to break the line.
std::string column_head(const ReportRow& row) {
  const std::string& name = row.run->published ? row.run->model : row.label;
  std::string out;
  for (const char c : html_escape(name.substr(name.find('/') + 1))) {
    out += c;
    if (c == ',' || c == '=' || c == '_') out += "<wbr>";
  }
  return fmt::format("<th class=\"wide\" title=\"{}\">{}{}</th>", html_escape(row.label), out,
                     row.run->published ? "<br><span class=\"tag\">published</span>" : "");
}

// One's own runs before the published ones, each best first.
std::vector<size_t> columns_of(const ReportData& data) {
  std::vector<size_t> out;
  for (const bool published : {false, true}) {
    for (size_t i = 0; i < data.rows.size(); ++i) {
      if (data.rows[i].run->published == published) out.push_back(i);
    }
  }
  return out;
}

std::string model_cell(const ReportRow& row) {
  return fmt::format("<td class=\"model\">{}{}</td>",
                     html_escape(row.run->published ? row.run->model : row.label),
                     row.run->published ? "<span class=\"tag\">published</span>" : "");
}

struct Known {  // which facts any run has
  bool parameters = false, dims = false, dtype = false, speed = false;
};

Known known_facts(const ReportData& data) {
  Known out;
  for (const auto& row : data.rows) {
    const auto& facts = row.run->facts;
    out.parameters |= facts.parameters > 0;
    out.dims |= facts.dims > 0;
    out.dtype |= !facts.dtype.empty();
    out.speed |= facts.texts_per_second > 0;
  }
  return out;
}

// "PairClassification" on two lines.
std::string short_type(const std::string& type) {
  const size_t at = type.find("Classification");
  if (at == type.npos || at == 0) return html_escape(type);
  return html_escape(type.substr(0, at)) + "<br>" + html_escape(type.substr(at));
}

std::string leaderboard_head(const ReportData& data, const Known& known) {
  std::string out =
      "<tr><th title=\"Borda rank over the tasks\">rank</th><th class=\"l\">model</th>";
  if (known.parameters) out += "<th>params</th>";
  if (known.dims) out += "<th>dims</th>";
  if (known.dtype) out += "<th class=\"l\">dtype</th>";
  if (known.speed) out += "<th>texts/s</th>";
  out += "<th>tasks</th><th>mean<br>(tasks)</th><th>mean<br>(types)</th>";
  for (const auto& type : data.rows.front().summary.types) {
    out += fmt::format("<th title=\"mean of {} tasks\">{}</th>", type.tasks, short_type(type.type));
  }
  return out + "</tr>";
}

std::string leaderboard_row(const ReportData& data, const ReportRow& row, const Known& known) {
  const auto& facts = row.run->facts;
  const auto& summary = row.summary;
  std::string out = fmt::format("<tr class=\"{}\"><td title=\"{:.1f} points\">{}</td>",
                                row.run->published ? "" : "own", row.borda.points, row.borda.rank);
  out += model_cell(row);
  if (known.parameters) {
    out += number_cell(static_cast<double>(facts.parameters), count_words(facts.parameters));
  }
  if (known.dims) out += number_cell(static_cast<double>(facts.dims), std::to_string(facts.dims));
  if (known.dtype) out += fmt::format("<td class=\"l\">{}</td>", html_escape(facts.dtype));
  if (known.speed) {
    out += number_cell(facts.texts_per_second, fmt::format("{:.0f}", facts.texts_per_second));
  }
  out += summary.scored == data.tasks.size()
             ? fmt::format("<td>{}</td>", summary.scored)
             : fmt::format("<td data-v=\"{0}\">{0} of {1}</td>", summary.scored, data.tasks.size());
  out += mean_cell(summary.mean_task, summary.mean_task_of_scored, summary.scored);
  out += mean_cell(summary.mean_type, summary.mean_type_of_scored, summary.scored);
  for (const auto& type : summary.types) {
    out += mean_cell(type.mean, type.mean_of_scored, type.scored);
  }
  return out + "</tr>\n";
}

// Half the width of the 95 % interval of a score, where its items are on file.
std::optional<Interval> interval_of(const ReportRow& row, const std::string& task, size_t parts) {
  if (row.run->published || row.run->folder.empty()) return {};
  const auto items = store::read_item_scores(row.run->folder, task);
  const size_t entries = row.run->find(task)->entries();
  if (items.size() != entries || parts != entries) return {};
  return item_interval(items, {.samples = 400});
}

std::string task_cell(const ReportData& data, const ReportRow& row, size_t task, double best) {
  const auto& score = row.summary.tasks[task];
  if (!score.score) {
    return fmt::format("<td class=\"mut\" title=\"{}\">–</td>", html_escape(score.missing));
  }
  std::string interval;
  if (data.intervals) {
    if (const auto found = interval_of(row, score.task, score.parts)) {
      interval = fmt::format(
          "<span class=\"pm\" title=\"95 % bootstrap interval {:.2f} to {:.2f}\">±{:.1f}</span>",
          100 * found->low, 100 * found->high, 50 * (found->high - found->low));
    }
  }
  return fmt::format("<td data-v=\"{:.4f}\"{}>{:.2f}{}</td>", 100 * *score.score,
                     *score.score >= best ? " class=\"best\"" : "", 100 * *score.score, interval);
}

std::string task_row(const ReportData& data, size_t task) {
  double best = -1e300;
  size_t scored = 0;
  for (const auto& row : data.rows) {
    if (!row.summary.tasks[task].score) continue;
    best = std::max(best, *row.summary.tasks[task].score);
    ++scored;
  }
  if (scored < 2) best = 1e300;
  std::string out = fmt::format("<tr><td class=\"l\">{}</td>", html_escape(data.tasks[task].name));
  for (const size_t i : columns_of(data)) out += task_cell(data, data.rows[i], task, best);
  return out + "</tr>\n";
}

struct Agreement {
  std::string rows;
  size_t count = 0;
  double sum = 0, most = 0;
};

Agreement agreement_rows(const ReportRow& row, std::string_view published) {
  Agreement out;
  for (const auto& task : row.summary.tasks) {
    const auto there = published_score(published, task.task);
    if (!task.score || !there) continue;
    const double difference = 100 * (*task.score - there->score);
    ++out.count;
    out.sum += difference;
    out.most = std::max(out.most, std::abs(difference));
    out.rows += fmt::format(
        "<tr><td class=\"l\">{}</td><td class=\"l\">{}</td><td>{:.2f}</td><td>{:.2f}</td>"
        "<td class=\"{}\">{:+.2f}</td><td class=\"l mut\">{}{}</td></tr>\n",
        html_escape(task.task), html_escape(there->split), 100 * *task.score, 100 * there->score,
        difference < 0 ? "neg" : "pos", difference, there->mteb_version.empty() ? "" : "mteb ",
        html_escape(there->mteb_version.empty() ? there->revision : there->mteb_version));
  }
  return out;
}

void flatten_rows(const Json& value, const std::string& path, size_t depth, std::string& out) {
  if (value.is_null() || depth > 8 || out.size() > 200000) return;
  if (value.is_object() && !value.empty()) {
    for (const auto& [key, member] : value.items()) {
      flatten_rows(member, path.empty() ? key : fmt::format("{}.{}", path, key), depth + 1, out);
    }
    return;
  }
  const std::string text = value.is_string()
                               ? value.get<std::string>()
                               : value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.empty() || text == "[]") return;
  out += fmt::format("<tr><td class=\"l\">{}</td><td class=\"wrapped\"><code>{}</code></td></tr>\n",
                     html_escape(path), html_escape(text));
}

// What the "akin" members of all task files agree on.
Json common_settings(const RunResults& run) {
  Json common;
  for (const auto& result : run.tasks) {
    const auto akin = result.extra.find("akin");
    if (akin == result.extra.end() || !akin->is_object()) continue;
    if (common.is_null()) common = *akin;
    for (auto it = common.begin(); it != common.end();) {
      const auto other = akin->find(it.key());
      it = other == akin->end() || *other != *it ? common.erase(it) : std::next(it);
    }
  }
  return common;
}

std::string versions_of(const RunResults& run) {
  std::vector<std::string> versions;
  for (const auto& result : run.tasks) {
    if (!result.mteb_version.empty()) versions.push_back(result.mteb_version);
  }
  std::sort(versions.begin(), versions.end());
  versions.erase(std::unique(versions.begin(), versions.end()), versions.end());
  return fmt::format("{}", fmt::join(versions, ", "));
}

}  // namespace

std::string points_cell(std::optional<double> score, bool best) {
  if (!score) return "<td class=\"mut\">–</td>";
  return fmt::format("<td{}>{:.2f}</td>", best ? " class=\"best\"" : "", 100 * *score);
}

std::string leaderboard_section(const ReportData& data) {
  const auto known = known_facts(data);
  std::string out = "<h2>Leaderboard</h2>\n<div class=\"wrap\"><table class=\"sort\"><thead>" +
                    leaderboard_head(data, known) + "</thead><tbody>\n";
  for (const auto& row : data.rows) out += leaderboard_row(data, row, known);
  out +=
      "</tbody></table></div>\n<p class=\"mut small\">Main scores × 100. Rank: Borda count over "
      "the tasks, as the public leaderboard has it; a missing task gives no points. ";
  const bool partial = std::any_of(data.rows.begin(), data.rows.end(), [&](const ReportRow& row) {
    return row.summary.scored < data.tasks.size();
  });
  if (partial) {
    out +=
        "<i>Italics</i>: mean over the tasks that have a score only, not comparable with a "
        "mean over all. ";
  }
  return out + "A click on a column's head sorts.</p>\n";
}

std::string tasks_section(const ReportData& data) {
  std::string out =
      "<h2>Tasks</h2>\n<div class=\"wrap\"><table><thead><tr><th class=\"l\">task</th>";
  for (const size_t i : columns_of(data)) out += column_head(data.rows[i]);
  out += "</tr></thead><tbody>\n";
  std::string type;
  for (size_t t = 0; t < data.tasks.size(); ++t) {
    if (data.tasks[t].type != type) {
      type = data.tasks[t].type;
      out += fmt::format("<tr class=\"group\"><td class=\"l\" colspan=\"{}\">{}</td></tr>\n",
                         data.rows.size() + 1, html_escape(type));
    }
    out += task_row(data, t);
  }
  return out +
         "</tbody></table></div>\n<p class=\"mut small\">Best of each row in bold. ± is half the "
         "width of the 95 % bootstrap interval over a task's items (queries, pairs, experiments), "
         "where they are on file.</p>\n";
}

std::string agreement_section(const ReportData& data) {
  std::string out;
  for (const auto* row : data.own()) {
    if (!row->run->experiment.empty()) continue;
    const auto published = find_published_model(row->run->model);
    if (published.empty()) continue;
    const auto agreement = agreement_rows(*row, published);
    if (agreement.count == 0) continue;
    out += fmt::format(
        "<p><b>{}</b>: {} tasks have a published score of {}; mean difference {:+.2f} points, "
        "largest {:.2f}.</p>\n<div class=\"wrap\"><table class=\"sort\"><thead><tr><th "
        "class=\"l\">task</th><th class=\"l\">published for</th><th>ours</th><th>published</th>"
        "<th>ours − published</th><th class=\"l\">source</th></tr></thead><tbody>\n{}</tbody>"
        "</table></div>\n",
        html_escape(row->label), agreement.count, html_escape(published),
        agreement.sum / static_cast<double>(agreement.count), agreement.most, agreement.rows);
  }
  if (out.empty()) return out;
  return "<h2>Agreement with published scores</h2>\n" + out +
         "<p class=\"mut small\">“external” is copied from the model's card. Published numbers mix "
         "package versions, prompts and precisions: differences of ±0.1 points in retrieval, ±0.3 "
         "in classification, ±0.8 in clustering and ±0.05 in STS are usual.</p>\n";
}

std::string configuration_section(const ReportData& data) {
  std::string out = "<h2>Configuration</h2>\n";
  for (const auto* row : data.own()) {
    std::string rows;
    const auto& run = *row->run;
    flatten_rows({{"revision", run.revision}, {"mteb_version", versions_of(run)}}, "", 0, rows);
    flatten_rows(common_settings(run), "", 0, rows);
    flatten_rows(run.config, "run", 0, rows);
    flatten_rows(run.meta, "model", 0, rows);
    out += fmt::format(
        "<details{}><summary>{}</summary><div class=\"wrap\"><table><tbody>\n{}</tbody></table>"
        "</div></details>\n",
        data.own().size() == 1 ? " open" : "", html_escape(row->label), rows);
  }
  return out;
}

}  // namespace akin::eval
