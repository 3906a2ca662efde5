// See report_html.h. No scripts; the chart is inline SVG, coloured by CSS so that light and dark
// both work.
#include "mine/report_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/html.h"
#include "base/number_words.h"

namespace akin::mine {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kStyle = R"css(
.mut{font-size:13px}svg .t{fill:var(--mut)}
.pos{fill:var(--c0)}.neg{fill:var(--c1)}.axis{stroke:var(--line)}
.key i{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 6px 0 14px}
i.pos{background:var(--c0)}i.neg{background:var(--c1)}
dl{margin:8px 0;font-size:13px}
dt{color:var(--mut);float:left;width:110px}dd{margin:0 0 4px 120px;overflow-wrap:anywhere}
)css";

std::string percent(double value) { return fmt::format("{:.2f} %", 100 * value); }
std::string count(const Json& report, const char* key) {
  return thousands(report.at(key).get<uint64_t>());
}
std::string escaped(const Json& text) { return html_escape(text.get<std::string>()); }

std::string card(std::string_view name, const std::string& value, const std::string& note) {
  return fmt::format(
      "<div class=\"card\"><span class=\"mut\">{}</span><b>{}</b><span class=\"mut\">{}</span>"
      "</div>\n",
      name, value, note);
}

std::string head(const Json& report) {
  const auto rows = std::max<uint64_t>(report.at("rows_written").get<uint64_t>(), 1);
  const auto negatives = report.at("negatives").get<double>();
  std::string out =
      "<h1>Mined negatives</h1>\n<p class=\"mut\">model " + escaped(report.at("model").at("name"));
  if (!report.at("teacher").is_null()) {
    out += ", teacher " + escaped(report.at("teacher").at("name")) + ", score rules by the " +
           escaped(report.at("rules_by"));
  }
  out += fmt::format("; ranks {} to {}, {}</p>\n<div class=\"cards\">\n",
                     report.at("range").at(0).get<uint64_t>() + 1,
                     report.at("range").at(1).get<uint64_t>(), escaped(report.at("sampling")));
  return out + card("rows written", count(report, "rows_written"), "of " + count(report, "rows")) +
         card("documents", count(report, "documents"),
              count(report, "document_variants_joined") + " variants joined") +
         card("negatives", count(report, "negatives"),
              fmt::format("{:.1f} a row", negatives / static_cast<double>(rows))) +
         card("mean rank", fmt::format("{:.1f}", report.at("mean_rank").get<double>()), "") +
         card("rows with too few", count(report, "short_rows"),
              count(report, "rows_without_negative") + " without any") +
         "</div>\n";
}

std::string guards_table(const Json& report) {
  std::string out = fmt::format(
      "<h2>Guards</h2>\n<p>Of {} candidates in the window of ranks. The last column: how many of "
      "these the same choice takes when only a row's own positives are left out.</p>\n<div "
      "class=\"wrap\"><table><tr><th class=\"l\">guard</th><th>removed</th><th>share of "
      "candidates</th><th>would be negatives without guards</th></tr>\n",
      count(report, "candidates"));
  for (const auto& guard : report.at("guards")) {
    out += fmt::format("<tr><td class=\"l\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                       escaped(guard.at("name")), count(guard, "removed"),
                       percent(guard.at("share").get<double>()), count(guard, "without_guards"));
  }
  return out + "</table></div>\n";
}

std::string scores_chart(const Json& report) {
  constexpr double kLeft = 20, kWidth = 980, kHeight = 160;
  const auto positive = report.at("scores").at("positive").get<std::vector<uint64_t>>();
  const auto negative = report.at("scores").at("negative").get<std::vector<uint64_t>>();
  if (positive.empty() || positive.size() != negative.size()) return {};
  const auto sum = [](const std::vector<uint64_t>& bins) {
    uint64_t out = 0;
    for (const uint64_t bin : bins) out += bin;
    return static_cast<double>(std::max<uint64_t>(out, 1));
  };
  const double all_positive = sum(positive), all_negative = sum(negative);
  double most = 1e-9;
  for (size_t i = 0; i < positive.size(); ++i) {
    most = std::max({most, static_cast<double>(positive[i]) / all_positive,
                     static_cast<double>(negative[i]) / all_negative});
  }
  const double step = kWidth / static_cast<double>(positive.size());
  std::string bars;
  const auto bar = [&](std::string_view kind, double share, double x) {
    const double height = kHeight * share / most;
    bars += fmt::format(
        "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>", kind,
        x, kHeight + 10 - height, step / 2 - 1, height);
  };
  for (size_t i = 0; i < positive.size(); ++i) {
    const double x = kLeft + step * static_cast<double>(i);
    bar("pos", static_cast<double>(positive[i]) / all_positive, x);
    bar("neg", static_cast<double>(negative[i]) / all_negative, x + step / 2);
  }
  for (int tick = -4; tick <= 4; ++tick) {
    bars += fmt::format("<text class=\"t\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                        kLeft + kWidth * (tick + 4) / 8, kHeight + 28, tick / 4.0);
  }
  return fmt::format(
      "<h2>Scores</h2>\n<figure><h3>Of positives and of searched negatives <span class=\"key "
      "mut\"><i class=\"pos\"></i>positives, mean {:.3f}<i class=\"neg\"></i>negatives, mean "
      "{:.3f}</span></h3>\n<svg viewBox=\"0 0 1020 {}\" role=\"img\" aria-label=\"scores\">{}"
      "</svg></figure>\n",
      report.at("scores").at("positive_mean").get<double>(),
      report.at("scores").at("negative_mean").get<double>(), kHeight + 36, bars);
}

std::string text_entry(std::string_view name, const Json& shown) {
  std::string note = fmt::format("{:.3f}", shown.at("score").get<double>());
  if (shown.contains("other_score")) {
    note += fmt::format(" ({:.3f})", shown.at("other_score").get<double>());
  }
  if (shown.contains("rank")) note += fmt::format(", rank {}", shown.at("rank").get<uint64_t>());
  return fmt::format("<dt>{}</dt><dd>{} <span class=\"mut\">{}</span></dd>", name,
                     escaped(shown.at("text")), note);
}

std::string samples(const Json& report) {
  std::string out = "<h2>Rows</h2>\n";
  for (const auto& row : report.at("samples")) {
    out += "<details open><summary>" + escaped(row.at("query")) + "</summary><dl>" +
           text_entry("positive", row.at("positive"));
    for (const auto& negative : row.at("negatives")) out += text_entry("negative", negative);
    out += "</dl></details>\n";
  }
  out += "<h2>Removed</h2>\n";
  for (const auto& guard : report.at("guards")) {
    if (guard.at("samples").empty()) continue;
    out += fmt::format("<details><summary>{} <span class=\"mut\">{}</span></summary>\n",
                       escaped(guard.at("name")), count(guard, "removed"));
    for (const auto& sample : guard.at("samples")) {
      out += "<dl><dt>query</dt><dd>" + escaped(sample.at("query")) + "</dd>" +
             text_entry("positive", sample.at("positive")) +
             text_entry("removed", sample.at("removed")) + "</dl><hr>";
    }
    out += "</details>\n";
  }
  return out;
}

std::string estimate(const Json& report) {
  std::string out = "<h2>False negatives</h2>\n<ul>\n";
  for (const auto& line : estimate_words(report)) out += "<li>" + html_escape(line) + "</li>\n";
  return out + "</ul>\n";
}

}  // namespace

std::vector<std::string> estimate_words(const Json& report) {
  const Json& estimate = report.at("estimate");
  std::vector<std::string> out;
  const auto number = [&](const char* key) { return estimate.at(key).get<uint64_t>(); };
  if (number("without_guards") > 0) {
    out.push_back(fmt::format(
        "without guards {} of the negatives are known answers, or equal or nearly equal to one",
        percent(estimate.at("without_guards_known_or_nearly_equal").get<double>())));
  }
  const auto& above = estimate.at("above_positive_by_other_model");
  if (above.is_null()) {
    out.emplace_back(
        "estimated rate: not measured, for that takes a second model's opinion; pass --teacher");
  } else {
    out.push_back(fmt::format(
        "estimated rate: {} of the negatives kept score above the positive by the model that did "
        "not decide ({} without guards)",
        percent(above.get<double>()),
        percent(estimate.at("without_guards_above_positive_by_other_model").get<double>())));
  }
  const auto& passed = estimate.at("hidden_answers_passed_share");
  if (!passed.is_null()) {
    out.push_back(fmt::format(
        "answers hidden from the guards one at a time: of {} that lay in the window {} would have "
        "been taken for negatives ({}); {} more lay outside it",
        thousands(number("hidden_answers_cut") + number("hidden_answers_passed")),
        thousands(number("hidden_answers_passed")), percent(passed.get<double>()),
        thousands(number("hidden_answers_outside_the_window"))));
  }
  return out;
}

std::string report_html(const Json& report) {
  try {
    return html_page("Mined negatives",
                     head(report) + estimate(report) + guards_table(report) + scores_chart(report) +
                         samples(report),
                     kStyle);
  } catch (const nlohmann::json::exception& error) {
    throw_error(ErrorKind::bad_format, "report", "is not the report of a mining run: {}",
                error.what());
  }
}

}  // namespace akin::mine
