#include "eval/correlation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string_view>

#include "eval/checks.h"

namespace akin::eval {
namespace {

double log_gamma(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);  // std::lgamma writes a global
}

// The continued fraction of the incomplete beta function, by Lentz's method; x below
// (a + 1) / (a + b + 2), where it converges in a few dozen steps.
double beta_fraction(double x, double a, double b) {
  constexpr double kTiny = 1e-300;
  constexpr int kSteps = 10000;
  const auto guard = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1, d = 1 / guard(1 - (a + b) * x / (a + 1)), value = d;
  for (int m = 1; m <= kSteps; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / guard(1 + even * d);
    c = guard(1 + even / c);
    value *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / guard(1 + odd * d);
    c = guard(1 + odd / c);
    value *= d * c;
    if (std::abs(d * c - 1) < 1e-16) break;
  }
  return value;
}

// The regularised incomplete beta function I_x(a, b); y = 1 - x is passed in for precision.
double incomplete_beta(double x, double y, double a, double b) {
  if (x <= 0) return 0;
  if (y <= 0) return 1;
  const double front =
      std::exp(a * std::log(x) + b * std::log(y) + log_gamma(a + b) - log_gamma(a) - log_gamma(b));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(x, a, b) / a;
  return 1 - front * beta_fraction(y, b, a) / b;
}

void check_pair(std::span<const double> x, std::span<const double> y, std::string_view where) {
  check_rows(x.size(), 2, where);
  check_same_size(y.size(), x.size(), where, "second side");
  check_finite(x, where, "first side");
  check_finite(y, where, "second side");
}

bool constant(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; });
}

// The deviations from the mean, scaled by a power of two so that their squares cannot overflow.
std::vector<long double> deviations(std::span<const double> values) {
  double most = 0;
  for (const double v : values) most = std::max(most, std::abs(v));
  const int exponent = most > 0 ? -std::ilogb(most) : 0;
  std::vector<long double> out;
  out.reserve(values.size());
  long double sum = 0;
  for (const double v : values) {
    out.push_back(std::ldexp(static_cast<long double>(v), exponent));
    sum += out.back();
  }
  const long double mean = sum / static_cast<long double>(values.size());
  for (auto& v : out) v -= mean;
  return out;
}

Correlation correlate(std::span<const double> x, std::span<const double> y) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  if (constant(x) || constant(y)) return {kNan, kNan};
  const auto dx = deviations(x), dy = deviations(y);
  long double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += dx[i] * dy[i];
    xx += dx[i] * dx[i];
    yy += dy[i] * dy[i];
  }
  const auto r = static_cast<double>(std::clamp(xy / (std::sqrt(xx) * std::sqrt(yy)), -1.0L, 1.0L));
  const double dof = static_cast<double>(x.size()) - 2;
  if (dof == 0) return {r, kNan};
  // t^2 = r^2 dof / (1 - r^2), so dof / (dof + t^2) = 1 - r^2.
  return {r, incomplete_beta((1 - r) * (1 + r), r * r, dof / 2, 0.5)};
}

}  // namespace

double student_t_two_sided(double t, double dof) {
  const double square = t * t;
  if (std::isinf(square)) return 0;
  return incomplete_beta(dof / (dof + square), square / (dof + square), dof / 2, 0.5);
}

std::vector<double> average_ranks(std::span<const double> values) {
  check_finite(values, "ranks", "value");
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double rank = static_cast<double>(begin + 1 + end) / 2;
    for (; begin < end; ++begin) ranks[order[begin]] = rank;
  }
  return ranks;
}

Correlation pearson(std::span<const double> x, std::span<const double> y) {
  check_pair(x, y, "pearson");
  Correlation result = correlate(x, y);
  // Two points always lie on a line: scipy calls that certain for Pearson, undefined for Spearman.
  if (x.size() == 2 && !std::isnan(result.statistic)) result.p_value = 1;
  return result;
}

Correlation spearman(std::span<const double> x, std::span<const double> y) {
  check_pair(x, y, "spearman");
  const auto rx = average_ranks(x), ry = average_ranks(y);
  return correlate(rx, ry);
}

}  // namespace akin::eval
