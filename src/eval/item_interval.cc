#include "eval/item_interval.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/progress.h"
#include "base/rng.h"
#include "eval/counted_statistic.h"

namespace akin::eval {
namespace {

using Counts = std::vector<uint32_t>;

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
        counted_ranks(by_value_, counts, x_);
        counted_ranks(by_gold_, counts, y_);
        return counted_pearson(x_, y_, counts);
      case store::ItemStatistic::pearson:
        return counted_pearson(items_.values, items_.gold, counts);
      case store::ItemStatistic::ap:
        return counted_ap(by_value_, items_.gold, counts);
      case store::ItemStatistic::accuracy:
        return counted_accuracy(by_value_, items_.gold, counts);
    }
    return NAN;
  }

 private:
  const store::ItemScores& items_;
  ScoreOrder by_value_, by_gold_;
  std::vector<double> x_, y_;
};

}  // namespace

std::optional<Interval> item_interval(std::span<const store::ItemScores> slices,
                                      const BootstrapOptions& options) {
  std::vector<Statistic> statistics;
  std::vector<Counts> counts;
  statistics.reserve(slices.size());
  for (const auto& items : slices) {
    const size_t rows = items.values.size();
    const bool paired = items.statistic != store::ItemStatistic::mean;
    if (rows < 2 || (paired && items.gold.size() != rows)) return std::nullopt;
    statistics.emplace_back(items);
    counts.emplace_back(rows, 1);
  }
  const auto score = [&] {
    double sum = 0;
    for (size_t s = 0; s < slices.size(); ++s) sum += statistics[s](counts[s]);
    return sum / static_cast<double>(slices.size());
  };
  const double value = score();
  if (!std::isfinite(value)) return std::nullopt;
  std::vector<double> samples;
  Rng rng(options.seed);
  for (size_t sample = 0; sample < options.samples; ++sample) {
    if (sample % 64 == 0) check_interrupted();
    for (auto& drawn : counts) {
      std::fill(drawn.begin(), drawn.end(), 0U);
      for (size_t i = 0; i < drawn.size(); ++i) ++drawn[rng.below(drawn.size())];
    }
    const double drawn_score = score();
    if (std::isfinite(drawn_score)) samples.push_back(drawn_score);
  }
  if (samples.size() < 2) return std::nullopt;
  return percentile_interval(value, samples, options.level);
}

}  // namespace akin::eval
