#include "cli/train/report.h"

#include <fmt/format.h>

#include <fstream>
#include <map>

#include "eval/report_charts.h"
#include "eval/report_html.h"

namespace akin::cli {
namespace {

using eval::ChartSeries;
using nlohmann::json;

struct Curves {
  ChartSeries loss{"loss", {}}, rate{"learning rate", {}}, speed{"pairs/s", {}};
  ChartSeries norm{"norm of the gradient", {}};
  std::map<std::string, ChartSeries> sources, scores;
};

void add_point(ChartSeries& series, double step, const json& value, double factor = 1) {
  if (value.is_number()) series.points.push_back({step, value.get<double>() * factor, {}});
}

void add_all(std::map<std::string, ChartSeries>& to, const json& values, double step,
             double factor) {
  for (const auto& [name, value] : values.items()) {
    to[name].name = name;
    add_point(to[name], step, value, factor);
  }
}

Curves read_curves(const std::filesystem::path& log) {
  Curves out;
  std::ifstream file(log);
  for (std::string text; std::getline(file, text);) {
    const json line = json::parse(text, nullptr, false);
    if (!line.is_object() || !line.contains("step") || !line["step"].is_number()) continue;
    const auto step = line["step"].get<double>();
    const auto value = [&](const char* key) { return line.contains(key) ? line[key] : json(); };
    add_point(out.loss, step, value("loss"));
    add_point(out.rate, step, value("learning_rate"));
    add_point(out.speed, step, value("pairs_per_second"));
    add_point(out.norm, step, value("gradient_norm"));
    if (value("source_loss").is_object()) add_all(out.sources, line["source_loss"], step, 1);
    if (value("scores").is_object()) add_all(out.scores, line["scores"], step, 100);
  }
  return out;
}

std::string legend(const std::vector<ChartSeries>& series) {
  if (series.size() < 2) return {};
  std::string out = "<ul class=\"key\">";
  for (size_t i = 0; i < series.size(); ++i) {
    out += fmt::format("<li><i class=\"s{}\"></i>{}</li>", i % eval::kChartColors,
                       html_escape(series[i].name));
  }
  return out + "</ul>\n";
}

std::string chart(const std::vector<ChartSeries>& series, const std::string& title,
                  const std::string& y_label, bool dots) {
  bool any = false;
  for (const auto& one : series) any = any || one.points.size() > 1;
  if (!any) return {};
  eval::ChartOptions options;
  options.title = title;
  options.x_label = "step";
  options.y_label = y_label;
  options.lines = true;
  options.dots = dots;
  options.log_x = false;
  return fmt::format("<figure><h3>{}</h3>\n{}{}</figure>\n", html_escape(title),
                     eval::xy_chart(series, options), legend(series));
}

std::vector<ChartSeries> listed(const std::map<std::string, ChartSeries>& series) {
  std::vector<ChartSeries> out;
  for (const auto& [name, one] : series) {
    if (out.size() < eval::kChartColors) out.push_back(one);
  }
  return out;
}

std::string sources_table(const train::SessionResult& result) {
  std::string out =
      "<h2>Sources</h2>\n<div class=\"wrap\"><table><thead><tr><th class=\"l\">source</th><th "
      "class=\"l\">loss</th><th>records</th>"
      "<th>share of batches</th><th>epochs</th><th>bad rows</th><th>left "
      "out</th></tr></thead><tbody>\n";
  for (const auto& source : result.sources) {
    out += fmt::format(
        "<tr><td class=\"l\">{}</td><td class=\"l\">{}</td><td>{}</td><td>{:.1f} "
        "%</td><td>{:.2f}</td><td>{}</td><td>{}</td></tr>\n",
        html_escape(source.name), html_escape(source.loss), source.records,
        100 * source.probability, source.epochs, source.rows.bad, source.rows.left_out);
  }
  return out + "</tbody></table></div>\n";
}

}  // namespace

std::string training_report(const train::SessionResult& result,
                            const nlohmann::ordered_json& recipe,
                            const std::filesystem::path& log) {
  const Curves curves = read_curves(log);
  std::string body = fmt::format(
      "<h1>Training run</h1>\n<p>{} steps in {:.0f} s{}.</p>\n", result.steps, result.seconds,
      result.best ? fmt::format("; best mean dev score {:.2f} at step {}", 100 * *result.best,
                                result.best_step)
                  : "");
  body += chart({curves.loss}, "Loss", "mean since the last line", false);
  body += chart(listed(curves.scores), "Dev scores", "score", true);
  body += chart(listed(curves.sources), "Loss by source", "loss", false);
  body += chart({curves.rate}, "Learning rate", "rate", false);
  body += chart({curves.norm}, "Norm of the gradient, before clipping", "norm", false);
  body += chart({curves.speed}, "Speed", "pairs/s", false);
  body += sources_table(result);
  body += "<details><summary>Recipe</summary><pre>" +
          html_escape(recipe.dump(2, ' ', false, nlohmann::json::error_handler_t::replace)) +
          "</pre></details>\n";
  return eval::report_page("Training run", body);
}

}  // namespace akin::cli
