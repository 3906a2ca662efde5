#include "eval/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "eval/checks.h"

namespace akin::eval {
namespace {

void check_options(size_t rows, const BootstrapOptions& options, std::string_view where) {
  check_rows(rows, 1, where);
  if (options.samples == 0)
    throw_error(ErrorKind::usage, where, "got 0 samples, expected 1 or more");
  if (options.level > 0 && options.level < 1) return;
  throw_error(ErrorKind::usage, where,
              "level is {}, expected a value between 0 and 1, such as 0.95", options.level);
}

// The q-quantile of sorted values, linear between neighbours.
double quantile(std::span<const double> sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

}  // namespace

Interval percentile_interval(double value, std::vector<double>& samples, double level) {
  if (samples.empty()) return {value, value, value};
  std::sort(samples.begin(), samples.end());
  return {value, quantile(samples, (1 - level) / 2), quantile(samples, (1 + level) / 2)};
}

Interval bootstrap_mean(std::span<const double> values, const BootstrapOptions& options) {
  const std::vector<double> slice(values.begin(), values.end());
  return bootstrap_mean_of_slices(std::span(&slice, 1), options);
}

Interval bootstrap_mean_of_slices(std::span<const std::vector<double>> slices,
                                  const BootstrapOptions& options) {
  check_rows(slices.size(), 1, "bootstrap");
  const double share = 1 / static_cast<double>(slices.size());
  double value = 0;
  for (const auto& slice : slices) {
    check_options(slice.size(), options, "bootstrap");
    check_finite(slice, "bootstrap", "score");
    value += share * mean(slice);
  }
  Rng rng(options.seed);
  std::vector<double> samples(options.samples);
  for (auto& sample : samples) {
    for (const auto& slice : slices) {
      double sum = 0;
      for (size_t i = 0; i < slice.size(); ++i) sum += slice[rng.below(slice.size())];
      sample += share * (sum / static_cast<double>(slice.size()));
    }
  }
  return percentile_interval(value, samples, options.level);
}

Interval bootstrap(size_t rows,
                   const std::function<double(std::span<const size_t> rows)>& statistic,
                   const BootstrapOptions& options) {
  check_options(rows, options, "bootstrap");
  std::vector<size_t> picked(rows);
  for (size_t i = 0; i < rows; ++i) picked[i] = i;
  const double value = statistic(picked);
  Rng rng(options.seed);
  std::vector<double> samples;
  for (size_t s = 0; s < options.samples; ++s) {
    for (auto& row : picked) row = rng.below(rows);
    const double sample = statistic(picked);
    if (!std::isnan(sample)) samples.push_back(sample);
  }
  return percentile_interval(value, samples, options.level);
}

PairedTest paired_test(std::span<const double> a, std::span<const double> b,
                       const BootstrapOptions& options) {
  check_same_size(b.size(), a.size(), "paired test", "second system");
  std::vector<double> differences(a.size());
  for (size_t i = 0; i < a.size(); ++i) differences[i] = a[i] - b[i];
  return paired_test_of_slices(std::span(&differences, 1), options);
}

PairedTest paired_test_of_slices(std::span<const std::vector<double>> slices,
                                 const BootstrapOptions& options) {
  PairedTest out;
  out.interval = bootstrap_mean_of_slices(slices, options);
  out.difference = out.interval.value;
  std::vector<double> shares;  // of each item in the difference
  for (const auto& slice : slices) {
    const double share = 1 / static_cast<double>(slices.size() * slice.size());
    for (const double difference : slice) shares.push_back(difference * share);
  }
  Rng rng(options.seed + 1);
  const double observed = std::abs(out.difference);
  const double slack = 1e-12 * (1 + observed);  // sums of the same numbers, in rounding
  size_t hits = 0;
  for (size_t s = 0; s < options.samples; ++s) {
    double sum = 0;
    uint64_t bits = 0;
    for (size_t i = 0; i < shares.size(); ++i) {
      if (i % 64 == 0) bits = rng.next();
      sum += (bits >> (i % 64) & 1) != 0 ? shares[i] : -shares[i];
    }
    hits += std::abs(sum) >= observed - slack ? 1 : 0;
  }
  out.p_value = static_cast<double>(hits + 1) / static_cast<double>(options.samples + 1);
  return out;
}

}  // namespace akin::eval
