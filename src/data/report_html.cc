// See report_html.h. No scripts; charts are inline SVG, coloured by CSS so that light and dark both
// work.
#include "data/report_html.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/html.h"
#include "base/number_words.h"
#include "text/utf8.h"

namespace akin::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kStyle = R"css(
.mut{font-size:13px}svg .t{fill:var(--mut)}
.kept{fill:var(--c0)}.gone{fill:var(--c1)}.axis{stroke:var(--line)}
.key i{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 6px 0 14px}
i.kept{background:var(--c0)}i.gone{background:var(--c1)}
dl{margin:8px 0;font-size:13px}
dt{color:var(--mut);float:left;width:80px}dd{margin:0 0 2px 90px;overflow-wrap:anywhere}
)css";

constexpr size_t kMostText = 600;  // bytes of a text that a sample shows

// The beginning of a text, whole characters, made safe.
std::string shown(const std::string& text) {
  std::string valid;
  text::repair_utf8(text, valid);
  if (valid.size() <= kMostText) return html_escape(valid);
  size_t end = kMostText;
  while (end > 0 && (static_cast<unsigned char>(valid[end]) & 0xC0) == 0x80) --end;
  return html_escape(valid.substr(0, end)) + " &hellip;";
}

double share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}
std::string percent(double value) { return fmt::format("{:.2f} %", 100 * value); }

std::string card(std::string_view name, const std::string& value, const std::string& note) {
  return fmt::format(
      "<div class=\"card\"><span class=\"mut\">{}</span><b>{}</b><span class=\"mut\">{}</span>"
      "</div>\n",
      name, value, note);
}

std::string head(const Json& report) {
  const auto in = report.at("records_in").get<uint64_t>();
  const auto out = report.at("records_out").get<uint64_t>();
  uint64_t bad = 0, dropped = 0;
  for (const auto& input : report.at("inputs")) {
    bad += input.at("bad_rows").get<uint64_t>();
    dropped += input.value("dropped_rows", uint64_t{0});
  }
  return "<h1>Cleaning</h1>\n<div class=\"cards\">\n" + card("records read", thousands(in), "") +
         card("records kept", thousands(out), percent(share(out, in))) +
         card("removed", thousands(in - out), percent(share(in - out, in))) +
         card("rows that could not be read", thousands(bad), "") +
         (dropped == 0 ? "" : card("rows dropped by label", thousands(dropped), "")) + "</div>\n";
}

// A bar a filter: what is left of the records, and what it took away.
std::string funnel(const Json& report) {
  constexpr double kLeft = 130, kWidth = 700, kRow = 30;
  const auto all = std::max<uint64_t>(report.at("records_in").get<uint64_t>(), 1);
  uint64_t left = report.at("records_in").get<uint64_t>();
  std::string bars;
  double y = 6;
  const auto bar = [&](std::string_view name, uint64_t gone) {
    const double kept_width = kWidth * share(left, all), gone_width = kWidth * share(gone, all);
    bars += fmt::format(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>"
        "<rect class=\"kept\" x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"20\"/>"
        "<rect class=\"gone\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"20\"/>"
        "<text class=\"t\" x=\"{:.1f}\" y=\"{}\">{}{}</text>\n",
        kLeft - 10, y + 15, html_escape(name), kLeft, y, kept_width, kLeft + kept_width, y,
        gone_width, kLeft + kept_width + gone_width + 8, y + 15, thousands(left),
        gone == 0 ? "" : " (-" + thousands(gone) + ")");
    y += kRow;
  };
  bar("read", 0);
  for (const auto& filter : report.at("filters")) {
    const auto gone = std::min(filter.at("removed").get<uint64_t>(), left);
    left -= gone;
    bar(filter.at("name").get<std::string>(), gone);
  }
  return fmt::format(
      "<figure><h3>Records behind each filter <span class=\"key mut\"><i class=\"kept\"></i>left"
      "<i class=\"gone\"></i>removed by it</span></h3>\n<svg viewBox=\"0 0 1020 {}\" role=\"img\" "
      "aria-label=\"records behind each filter\">\n{}</svg></figure>\n",
      y, bars);
}

std::string filters_table(const Json& report) {
  std::string out =
      "<h2>Filters</h2>\n<div class=\"wrap\"><table><tr><th class=\"l\">filter</th><th>in</th>"
      "<th>removed</th><th>share</th><th>changed</th><th class=\"l\">why</th></tr>\n";
  for (const auto& filter : report.at("filters")) {
    const auto in = filter.at("in").get<uint64_t>(), gone = filter.at("removed").get<uint64_t>();
    std::string why;
    const auto add = [&](const std::string& name, uint64_t count) {
      why += fmt::format("{}{} {}", why.empty() ? "" : "<br>", html_escape(name), thousands(count));
    };
    for (const auto& [name, reason] : filter.at("reasons").items()) {
      add(name, reason.at("count").get<uint64_t>());
    }
    if (filter.contains("notes")) {
      for (const auto& [name, count] : filter.at("notes").items()) {
        add("kept: " + name, count.get<uint64_t>());
      }
    }
    out += fmt::format(
        "<tr><td class=\"l\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td class=\"l\">{}</td></tr>\n",
        html_escape(filter.at("name").get<std::string>()), thousands(in), thousands(gone),
        percent(share(gone, in)), thousands(filter.at("changed").get<uint64_t>()), why);
  }
  return out + "</table></div>\n";
}

uint64_t sum(const std::vector<uint64_t>& counts) {
  uint64_t out = 0;
  for (const uint64_t count : counts) out += count;
  return out;
}

// Two bars a class: the share of texts of that length before and after.
std::string lengths_chart(const Json& lengths, const std::string& side) {
  constexpr double kHeight = 180, kColumn = 54;
  const auto in = lengths.at("in").at(side).get<std::vector<uint64_t>>();
  const auto out = lengths.at("out").at(side).get<std::vector<uint64_t>>();
  if (sum(in) == 0) return {};  // single texts have no positive
  const size_t classes = std::min(in.size(), out.size());
  double most = 1e-9;
  for (size_t i = 0; i < classes; ++i) {
    most = std::max({most, share(in[i], sum(in)), share(out[i], sum(out))});
  }
  std::string bars;
  for (size_t i = 0; i < classes; ++i) {
    const double x = 8 + kColumn * static_cast<double>(i);
    const std::string name = i == 0             ? "0"
                             : i + 1 == classes ? fmt::format("{}+", uint64_t{1} << (i - 1))
                                                : std::to_string(uint64_t{1} << (i - 1));
    const auto bar = [&](std::string_view kind, double at, uint64_t count, double part) {
      const double height = kHeight * part / most;
      bars += fmt::format(
          "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"20\" height=\"{:.1f}\"><title>{} "
          "({})</title></rect>",
          kind, at, 10 + kHeight - height, height, thousands(count), percent(part));
    };
    bar("gone", x, in[i], share(in[i], sum(in)));
    bar("kept", x + 21, out[i], share(out[i], sum(out)));
    bars += fmt::format("<text class=\"t\" x=\"{:.1f}\" y=\"208\">{}</text>\n", x + 4, name);
  }
  return fmt::format(
      "<figure><h3>Length of the {} <span class=\"key mut\"><i class=\"gone\"></i>read<i "
      "class=\"kept\"></i>kept; characters, from the number below a bar to the next</span></h3>\n"
      "<svg viewBox=\"0 0 {} 216\" role=\"img\" aria-label=\"lengths\"><line class=\"axis\" "
      "x1=\"0\" x2=\"{}\" y1=\"190\" y2=\"190\"/>\n{}</svg></figure>\n",
      html_escape(side), 16 + kColumn * static_cast<double>(classes),
      16 + kColumn * static_cast<double>(classes), bars);
}

std::string sample_list(const Json& sample) {
  std::string out = "<dl>";
  const auto line = [&](std::string_view name, const std::string& text) {
    out += fmt::format("<dt>{}</dt><dd>{}</dd>", name, shown(text));
  };
  const Json& record = sample.at("record");
  for (const char* name : {"text", "query", "positive"}) {
    if (record.contains(name)) line(name, record.at(name).get<std::string>());
  }
  if (record.contains("negatives")) {
    for (const auto& negative : record.at("negatives")) line("negative", negative);
  }
  if (sample.contains("match")) line("met", sample.at("match").get<std::string>());
  const std::string source = record.value("source", std::string());
  line("from", fmt::format("{}, row {}", source, sample.at("row").get<uint64_t>()));
  return out + "</dl>";
}

std::string samples(const Json& report) {
  std::string out = "<h2>Samples of what was removed</h2>\n";
  for (const auto& filter : report.at("filters")) {
    for (const auto& [name, reason] : filter.at("reasons").items()) {
      out += fmt::format("<details><summary>{}: {} <span class=\"mut\">{}</span></summary>\n",
                         html_escape(filter.at("name").get<std::string>()), html_escape(name),
                         thousands(reason.at("count").get<uint64_t>()));
      bool first = true;
      for (const auto& sample : reason.at("samples")) {
        if (!std::exchange(first, false)) out += "<hr>";
        out += sample_list(sample);
      }
      out += "</details>\n";
    }
  }
  return out;
}

std::string inputs_table(const Json& report) {
  std::string out =
      "<h2>Inputs</h2>\n<div class=\"wrap\"><table><tr><th class=\"l\">file</th><th class=\"l\">"
      "layout</th><th>rows</th><th>bad rows</th><th>dropped by label</th></tr>\n";
  for (const auto& input : report.at("inputs")) {
    out += fmt::format(
        "<tr><td class=\"l\">{}</td><td "
        "class=\"l\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        shown(input.at("path").get<std::string>()), shown(input.at("layout").get<std::string>()),
        thousands(input.at("rows").get<uint64_t>()),
        thousands(input.at("bad_rows").get<uint64_t>()),
        thousands(input.value("dropped_rows", uint64_t{0})));
  }
  return out + "</table></div>\n";
}

}  // namespace

std::string report_html(const Json& report) {
  try {
    const Json& lengths = report.at("lengths");
    const std::string body = head(report) + funnel(report) + filters_table(report) +
                             "<h2>Lengths</h2>\n" + lengths_chart(lengths, "query") +
                             lengths_chart(lengths, "positive") + samples(report) +
                             inputs_table(report);
    return html_page("Cleaning", body, kStyle);
  } catch (const nlohmann::json::exception& error) {
    throw_error(ErrorKind::bad_format, "report", "is not the report of a chain: {}", error.what());
  }
}

}  // namespace akin::data
