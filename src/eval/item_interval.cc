#include "eval/item_interval.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "base/progress.h"
#include "base/rng.h"

namespace akin::eval {
namespace {

using Counts = std::vector<uint32_t>;

// Rows in rising order of value, and where each run of equal values ends.
struct Order {
  std::vector<uint32_t> rows;
  std::vector<uint32_t> ends;
  explicit Order(std::span<const double> values) : rows(values.size()) {
    std::iota(rows.begin(), rows.end(), 0U);
    std::stable_sort(rows.begin(), rows.end(),
                     [&](uint32_t a, uint32_t b) { return values[a] < values[b]; });
    for (uint32_t i = 1; i <= rows.size(); ++i) {
      if (i == rows.size() || values[rows[i]] != values[rows[i - 1]]) ends.push_back(i);
    }
  }
};

// The mean rank of each row in a sample where row r is there counts[r] times.
void ranks(const Order& order, const Counts& counts, std::vector<double>& out) {
  double before = 0;
  uint32_t begin = 0;
  for (const uint32_t end : order.ends) {
    double here = 0;
    for (uint32_t i = begin; i < end; ++i) here += counts[order.rows[i]];
    for (uint32_t i = begin; i < end; ++i) out[order.rows[i]] = before + (here + 1) / 2;
    before += here;
    begin = end;
  }
}

double weighted_pearson(std::span<const double> x, std::span<const double> y,
                        const Counts& counts) {
  double n = 0, mean_x = 0, mean_y = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    n += counts[i];
    mean_x += counts[i] * x[i];
    mean_y += counts[i] * y[i];
  }
  mean_x /= n;
  mean_y /= n;
  double xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double dx = x[i] - mean_x, dy = y[i] - mean_y, w = counts[i];
    xx += w * dx * dx;
    yy += w * dy * dy;
    xy += w * dx * dy;
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : NAN;
}

double weighted_ap(const Order& order, std::span<const double> gold, const Counts& counts) {
  double total = 0;
  for (size_t i = 0; i < gold.size(); ++i) total += gold[i] > 0 ? counts[i] : 0;
  if (total <= 0) return NAN;
  double seen = 0, hits = 0, sum = 0;
  for (size_t group = order.ends.size(); group-- > 0;) {
    double gained = 0;
    for (uint32_t i = group == 0 ? 0 : order.ends[group - 1]; i < order.ends[group]; ++i) {
      const uint32_t row = order.rows[i];
      seen += counts[row];
      gained += gold[row] > 0 ? counts[row] : 0;
    }
    hits += gained;
    if (gained > 0) sum += gained * hits / seen;
  }
  return sum / total;
}

class Statistic {
 public:
  explicit Statistic(const store::ItemScores& items)
      : items_(items),
        by_value_(items.values),
        by_gold_(items.gold),
        x_(items.values.size()),
        y_(items.gold.size()) {}
  double operator()(const Counts& counts) {
    switch (items_.statistic) {
      case store::ItemStatistic::mean: {
        double sum = 0, n = 0;
        for (size_t i = 0; i < counts.size(); ++i) {
          sum += counts[i] * items_.values[i];
          n += counts[i];
        }
        return sum / n;
      }
      case store::ItemStatistic::spearman:
        ranks(by_value_, counts, x_);
        ranks(by_gold_, counts, y_);
        return weighted_pearson(x_, y_, counts);
      case store::ItemStatistic::pearson:
        return weighted_pearson(items_.values, items_.gold, counts);
      case store::ItemStatistic::ap:
        return weighted_ap(by_value_, items_.gold, counts);
    }
    return NAN;
  }

 private:
  const store::ItemScores& items_;
  Order by_value_, by_gold_;
  std::vector<double> x_, y_;
};

double quantile(const std::vector<double>& sorted, double at) {
  const double place = at * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(place);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (place - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

}  // namespace

std::optional<Interval> item_interval(const store::ItemScores& items,
                                      const BootstrapOptions& options) {
  const size_t rows = items.values.size();
  const bool paired = items.statistic != store::ItemStatistic::mean;
  if (rows < 2 || (paired && items.gold.size() != rows)) return std::nullopt;
  Statistic statistic(items);
  Counts counts(rows, 1);
  Interval out;
  out.value = statistic(counts);
  if (!std::isfinite(out.value)) return std::nullopt;
  std::vector<double> samples;
  Rng rng(options.seed);
  for (size_t s = 0; s < options.samples; ++s) {
    if (s % 64 == 0) check_interrupted();
    std::fill(counts.begin(), counts.end(), 0U);
    for (size_t i = 0; i < rows; ++i) ++counts[rng.below(rows)];
    const double value = statistic(counts);
    if (std::isfinite(value)) samples.push_back(value);
  }
  if (samples.size() < 2) return std::nullopt;
  std::sort(samples.begin(), samples.end());
  out.low = quantile(samples, (1 - options.level) / 2);
  out.high = quantile(samples, (1 + options.level) / 2);
  return out;
}

}  // namespace akin::eval
