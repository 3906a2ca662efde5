// Charts of the HTML report as inline SVG: no scripts, colours by CSS class so that light and dark
// both work, a tooltip on every mark. Internal to the report.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/html.h"

namespace akin::eval {

// Number of colours; series i has the classes "s<i % kChartColors>".
inline constexpr size_t kChartColors = 8;

struct ChartPoint {
  double x = 0, y = 0;
  std::string label;  // beside the mark, and in its tooltip
};
struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;  // by rising x
};
struct ChartOptions {
  std::string title, x_label, y_label;
  bool lines = false;         // joins the points of a series
  bool dots = true;           // a mark with a tooltip at every point
  bool log_x = true;          // else x is even, and may be 0
  bool point_labels = false;  // labels beside the marks
};
// y against x. On a log axis, values of x must be positive.
std::string xy_chart(const std::vector<ChartSeries>& series, const ChartOptions& options);

// One row a name, one dot a series: how runs spread on each task type.
struct DotRow {
  std::string name;
  std::vector<std::optional<double>> values;  // one for each series
};
std::string dot_chart(const std::vector<std::string>& series, const std::vector<DotRow>& rows,
                      std::string_view title);

// Differences as bars to both sides of zero, with whiskers where there is an interval.
struct BarRow {
  std::string name;
  double value = 0;
  std::optional<std::pair<double, double>> interval;
};
std::string difference_chart(const std::vector<BarRow>& rows, std::string_view title);

}  // namespace akin::eval
