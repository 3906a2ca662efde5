#include "eval/report_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace akin::eval {
namespace {

// Width of text at `size` pixels, roughly: East Asian letters are as wide as they are high.
double text_width(std::string_view text, double size) {
  double width = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0xE0) width += 1.0;
    if (byte < 0x80) width += 0.54;
    if (byte >= 0xC0 && byte < 0xE0) width += 0.6;
  }
  return width * size;
}

std::string clipped(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

struct Scale {
  double low = 0, high = 1, begin = 0, end = 1;  // values, pixels
  double operator()(double v) const { return begin + (v - low) / (high - low) * (end - begin); }
};

// A step of 1, 2 or 5 times a power of ten that gives about `count` ticks.
double nice_step(double span, int count) {
  const double raw = span / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power * 1.0001) return factor * power;
  }
  return 10 * power;
}

// low and high widened to ticks. A flat range gets one step of room.
std::vector<double> ticks_over(double& low, double& high, int count) {
  if (!(high > low)) {
    low -= 1;
    high += 1;
  }
  const double step = nice_step(high - low, count);
  low = std::floor(low / step) * step;
  high = std::ceil(high / step) * step;
  std::vector<double> out;
  for (int i = 0; i <= 50 && low + i * step <= high + step / 2; ++i) out.push_back(low + i * step);
  return out;
}

std::string number(double value) {
  if (std::abs(value) < 1e-9) return "0";
  if (std::abs(value) >= 1e6) return fmt::format("{:.3g}M", value / 1e6);
  if (std::abs(value) >= 10000) return fmt::format("{:.3g}k", value / 1e3);
  return value == std::floor(value) ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

std::string open_svg(double width, double height, std::string_view title) {
  return fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n", width,
                     height, html_escape(title));
}

std::string text_at(double x, double y, std::string_view anchor, std::string_view text,
                    std::string_view css = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\">{}</text>\n",
                     x, y, anchor, css, html_escape(text));
}

std::string line(double x1, double y1, double x2, double y2, std::string_view css) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1, y1, x2,
      y2, css);
}

struct Box {
  double x, y, width, height;
  bool overlaps(const Box& o) const {
    return x < o.x + o.width && o.x < x + width && y < o.y + o.height && o.y < y + height;
  }
};

// Puts labels beside marks where they cover nothing; a label that fits nowhere is left to the
// tooltip.
class Labels {
 public:
  Labels(double width, double height) : width_(width), height_(height) {}
  void keep_clear(double x, double y, double radius) {
    boxes_.push_back({x - radius, y - radius, 2 * radius, 2 * radius});
  }
  std::string place(double x, double y, const std::string& text, std::string_view css) {
    const std::string shown = clipped(text, 44);
    const double w = text_width(shown, 11.5), h = 13;
    const Box tries[] = {{x + 8, y - h / 2, w, h},     {x - 8 - w, y - h / 2, w, h},
                         {x - w / 2, y - 8 - h, w, h}, {x - w / 2, y + 8, w, h},
                         {x + 6, y - 6 - h, w, h},     {x + 6, y + 5, w, h},
                         {x - 6 - w, y - 6 - h, w, h}, {x - 6 - w, y + 5, w, h}};
    for (const auto& box : tries) {
      if (box.x < 0 || box.x + w > width_ || box.y < 0 || box.y + h > height_) continue;
      if (std::any_of(boxes_.begin(), boxes_.end(),
                      [&](const Box& other) { return box.overlaps(other); })) {
        continue;
      }
      boxes_.push_back(box);
      return text_at(box.x, box.y + h - 3, "start", shown, css);
    }
    return {};
  }

 private:
  double width_, height_;
  std::vector<Box> boxes_;
};

constexpr double kWidth = 1000, kHeight = 360, kLeft = 56, kRight = 24, kTop = 16, kBottom = 48;

struct XyScales {
  Scale x, y;
  std::vector<double> y_ticks;
};

// Where a value of x lies on its axis, before it is scaled.
double along(double x, const ChartOptions& options) { return options.log_x ? std::log2(x) : x; }

XyScales scales_of(const std::vector<ChartSeries>& series, const ChartOptions& options) {
  double x_low = 1e300, x_high = 0, y_low = 1e300, y_high = -1e300;
  for (const auto& one : series) {
    for (const auto& point : one.points) {
      x_low = std::min(x_low, point.x);
      x_high = std::max(x_high, point.x);
      y_low = std::min(y_low, point.y);
      y_high = std::max(y_high, point.y);
    }
  }
  const double pad = std::max((y_high - y_low) * 0.08, options.log_x ? 0.25 : 1e-12);
  XyScales out;
  double low = y_low - pad, high = y_high + pad;
  out.y_ticks = ticks_over(low, high, 5);
  out.y = {low, high, kHeight - kBottom, kTop};
  const double begin = along(x_low, options), end = along(x_high, options);
  const double margin = options.log_x ? std::max((end - begin) * 0.06, 0.15) : 0;
  out.x = {begin - margin, std::max(end, begin + 1e-9) + margin, kLeft, kWidth - kRight};
  return out;
}

// Ticks of the log axis: the values themselves when there are few, else round numbers.
std::vector<double> x_ticks(const std::vector<ChartSeries>& series, const Scale& x) {
  std::vector<double> values;
  for (const auto& one : series) {
    for (const auto& point : one.points) values.push_back(point.x);
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  bool apart = values.size() <= 10;
  for (size_t i = 1; i < values.size(); ++i) {
    apart = apart && x(std::log2(values[i])) - x(std::log2(values[i - 1])) > 44;
  }
  if (apart) return values;
  values.clear();
  for (int power = -3; power <= 12; ++power) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * std::pow(10, power);
      const double at = std::log2(value);
      if (at >= x.low && at <= x.high) values.push_back(value);
    }
  }
  return values;
}

std::vector<double> even_ticks(const Scale& x) {
  const double step = nice_step(x.high - x.low, 8);
  std::vector<double> out;
  for (double at = std::ceil(x.low / step) * step; at <= x.high + step * 1e-6; at += step) {
    out.push_back(at);
  }
  return out;
}

std::string xy_axes(const std::vector<ChartSeries>& series, const XyScales& scales,
                    const ChartOptions& options) {
  std::string out;
  for (const double tick : scales.y_ticks) {
    out += line(kLeft, scales.y(tick), kWidth - kRight, scales.y(tick), "grid");
    out += text_at(kLeft - 8, scales.y(tick) + 4, "end", number(tick), "tick");
  }
  for (const double tick : options.log_x ? x_ticks(series, scales.x) : even_ticks(scales.x)) {
    const double at = scales.x(along(tick, options));
    out += line(at, kHeight - kBottom, at, kHeight - kBottom + 5, "axis");
    out += text_at(at, kHeight - kBottom + 18, "middle", number(tick), "tick");
  }
  out += line(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "axis");
  out += text_at((kLeft + kWidth - kRight) / 2, kHeight - 8, "middle", options.x_label, "label");
  out += fmt::format(
      "<text transform=\"translate(14 {:.1f}) rotate(-90)\" text-anchor=\"middle\" "
      "class=\"label\">{}</text>\n",
      (kTop + kHeight - kBottom) / 2, html_escape(options.y_label));
  return out;
}

}  // namespace

std::string xy_chart(const std::vector<ChartSeries>& series, const ChartOptions& options) {
  const auto scales = scales_of(series, options);
  std::string out = open_svg(kWidth, kHeight, options.title) + xy_axes(series, scales, options);
  Labels labels(kWidth - 2, kHeight - kBottom);
  const auto at_x = [&](const ChartPoint& p) { return scales.x(along(p.x, options)); };
  for (size_t s = 0; s < series.size(); ++s) {
    std::string path;
    for (const auto& point : series[s].points) {
      path +=
          fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : " L", at_x(point), scales.y(point.y));
      labels.keep_clear(at_x(point), scales.y(point.y), 6);
    }
    if (options.lines && series[s].points.size() > 1) {
      out += fmt::format("<path d=\"{}\" class=\"line s{}\"/>\n", path, s % kChartColors);
    }
  }
  for (size_t s = 0; s < series.size() && options.dots; ++s) {
    for (const auto& point : series[s].points) {
      out += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\" class=\"dot s{}\"><title>{}: {:.2f} at "
          "{}</title></circle>\n",
          at_x(point), scales.y(point.y), s % kChartColors,
          html_escape(point.label.empty() ? series[s].name : point.label), point.y,
          number(point.x));
    }
  }
  for (const auto& one : series) {
    for (const auto& point : one.points) {
      if (options.point_labels) {
        out += labels.place(at_x(point), scales.y(point.y), point.label, "mark");
      }
    }
  }
  return out + "</svg>\n";
}

std::string dot_chart(const std::vector<std::string>& series, const std::vector<DotRow>& rows,
                      std::string_view title) {
  double low = 1e300, high = -1e300, names = 60;
  for (const auto& row : rows) {
    names = std::max(names, text_width(row.name, 12.5) + 12);
    for (const auto& value : row.values) {
      if (!value) continue;
      low = std::min(low, *value);
      high = std::max(high, *value);
    }
  }
  if (low > high) return {};
  const auto ticks = ticks_over(low, high, 8);
  const double step = 30, top = 8, bottom = top + step * static_cast<double>(rows.size());
  const Scale x{low, high, names + 8, kWidth - 28};
  std::string out = open_svg(kWidth, bottom + 28, title);
  for (const double tick : ticks) {
    out += line(x(tick), top, x(tick), bottom, "grid");
    out += text_at(x(tick), bottom + 18, "middle", number(tick), "tick");
  }
  for (size_t r = 0; r < rows.size(); ++r) {
    const double y = top + step * (static_cast<double>(r) + 0.5);
    out += text_at(names, y + 4, "end", rows[r].name, "label");
    double least = 1e300, most = -1e300;
    for (const auto& value : rows[r].values) {
      if (!value) continue;
      least = std::min(least, *value);
      most = std::max(most, *value);
    }
    if (least <= most) out += line(x(least), y, x(most), y, "range");
    for (size_t s = rows[r].values.size(); s-- > 0;) {
      const auto& value = rows[r].values[s];
      if (!value) continue;
      out += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5.5\" class=\"dot s{}\"><title>{}, {}: "
          "{:.2f}</title></circle>\n",
          x(*value), y, s % kChartColors, html_escape(series[s]), html_escape(rows[r].name),
          *value);
    }
  }
  return out + "</svg>\n";
}

std::string difference_chart(const std::vector<BarRow>& rows, std::string_view title) {
  double low = 0, high = 0, names = 60;
  for (const auto& row : rows) {
    names = std::max(names, std::min(260.0, text_width(row.name, 12) + 10));
    low = std::min({low, row.value, row.interval ? row.interval->first : 0});
    high = std::max({high, row.value, row.interval ? row.interval->second : 0});
  }
  const auto ticks = ticks_over(low, high, 8);
  const double step = 22, top = 8, bottom = top + step * static_cast<double>(rows.size());
  const Scale x{low, high, names + 8, kWidth - 60};
  std::string out = open_svg(kWidth, bottom + 28, title);
  for (const double tick : ticks) {
    out += line(x(tick), top, x(tick), bottom, tick == 0 ? "axis" : "grid");
    out += text_at(x(tick), bottom + 18, "middle", number(tick), "tick");
  }
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto& row = rows[r];
    const double y = top + step * (static_cast<double>(r) + 0.5);
    const double from = std::min(x(0), x(row.value)), to = std::max(x(0), x(row.value));
    out += text_at(names, y + 4, "end", clipped(row.name, 40), "label");
    out += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"12\" rx=\"2\" "
        "class=\"{}\"><title>{}: {:+.2f}</title></rect>\n",
        from, y - 6, std::max(to - from, 1.0), row.value < 0 ? "worse" : "better",
        html_escape(row.name), row.value);
    double end = to;
    if (row.interval) {
      const double a = x(row.interval->first), b = x(row.interval->second);
      out += line(a, y, b, y, "whisker") + line(a, y - 4, a, y + 4, "whisker") +
             line(b, y - 4, b, y + 4, "whisker");
      end = std::max(end, b);
    }
    out += text_at(end + 6, y + 4, "start", fmt::format("{:+.2f}", row.value), "tick");
  }
  return out + "</svg>\n";
}

}  // namespace akin::eval
