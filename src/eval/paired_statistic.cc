// Resampling works on counts: a bootstrap sample is a count for each item, ranks and precision of
// it come from one pass over the items in the order of their scores, sorted once. In the
// randomisation, scores are ranks, so that a swapped list is ranked by counting.
#include "eval/paired_statistic.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "eval/checks.h"
#include "eval/correlation.h"
#include "eval/counted_statistic.h"

namespace akin::eval {
namespace {

using store::ItemStatistic;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class Paired {
 public:
  Paired(ItemStatistic statistic, std::span<const double> a, std::span<const double> b,
         std::span<const double> gold)
      : statistic_(statistic),
        a_(a),
        b_(b),
        gold_(gold),
        order_a_(a),
        order_b_(b),
        order_gold_(gold),
        ranks_(a.size()),
        gold_ranks_(a.size()) {}

  double difference(std::span<const uint32_t> counts) {
    if (statistic_ == ItemStatistic::ap) {
      return counted_ap(order_a_, gold_, counts) - counted_ap(order_b_, gold_, counts);
    }
    if (statistic_ == ItemStatistic::accuracy) {
      return counted_accuracy(order_a_, gold_, counts) - counted_accuracy(order_b_, gold_, counts);
    }
    if (statistic_ == ItemStatistic::pearson) {
      return counted_pearson(a_, gold_, counts) - counted_pearson(b_, gold_, counts);
    }
    counted_ranks(order_gold_, counts, gold_ranks_);
    counted_ranks(order_a_, counts, ranks_);
    const double of_a = counted_pearson(ranks_, gold_ranks_, counts);
    counted_ranks(order_b_, counts, ranks_);
    return of_a - counted_pearson(ranks_, gold_ranks_, counts);
  }

 private:
  ItemStatistic statistic_;
  std::span<const double> a_, b_, gold_;
  ScoreOrder order_a_, order_b_, order_gold_;
  std::vector<double> ranks_, gold_ranks_;
};

// Twice the average rank: a whole number, so that swapped lists are ranked by counting.
std::vector<uint32_t> doubled_ranks(std::span<const double> scores) {
  std::vector<uint32_t> out;
  for (const double rank : average_ranks(scores)) {
    out.push_back(static_cast<uint32_t>(std::lround(2 * rank)));
  }
  return out;
}

std::vector<double> standardised(std::span<const double> x) {
  const double n = static_cast<double>(x.size());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
  double squares = 0;
  for (const double v : x) squares += (v - mean) * (v - mean);
  std::vector<double> out;
  for (const double v : x) out.push_back(squares > 0 ? (v - mean) / std::sqrt(squares / n) : 0);
  return out;
}

// The statistic of a list whose scores are doubled ranks, in [0, 2n].
class RankedStatistic {
 public:
  RankedStatistic(ItemStatistic statistic, std::span<const double> gold)
      : statistic_(statistic),
        gold_(gold.begin(), gold.end()),
        ones_(gold.size(), 1),
        ranks_(gold.size()),
        all_(2 * gold.size() + 1),
        positive_(2 * gold.size() + 1) {
    if (statistic == ItemStatistic::spearman) gold_ = average_ranks(gold);
  }

  double operator()(std::span<const uint32_t> scores) {
    std::fill(all_.begin(), all_.end(), 0.0);
    for (const uint32_t score : scores) all_[score] += 1;
    if (statistic_ == ItemStatistic::ap) return average_precision(scores);
    if (statistic_ == ItemStatistic::accuracy) return best_accuracy(scores);
    double below = 0;
    for (auto& cell : all_) {
      const double tied = cell;
      cell = below + (tied + 1) / 2;
      below += tied;
    }
    for (size_t i = 0; i < scores.size(); ++i) ranks_[i] = all_[scores[i]];
    return counted_pearson(ranks_, gold_, ones_);
  }

 private:
  double average_precision(std::span<const uint32_t> scores) {
    std::fill(positive_.begin(), positive_.end(), 0.0);
    for (size_t i = 0; i < scores.size(); ++i) positive_[scores[i]] += gold_[i];
    double hits = 0, seen = 0, sum = 0;
    for (size_t score = all_.size(); score-- > 0;) {
      hits += positive_[score];
      seen += all_[score];
      if (positive_[score] > 0) sum += positive_[score] * hits / seen;
    }
    return hits > 0 ? sum / hits : kNan;
  }

  double best_accuracy(std::span<const uint32_t> scores) {
    std::fill(positive_.begin(), positive_.end(), 0.0);
    double right = 0, seen = 0, most = kNan;
    for (size_t i = 0; i < scores.size(); ++i) {
      positive_[scores[i]] += gold_[i];
      right += 1 - gold_[i];
    }
    const auto total = static_cast<double>(scores.size());
    for (size_t score = all_.size(); score-- > 0;) {
      right += 2 * positive_[score] - all_[score];
      seen += all_[score];
      if (seen > 0 && seen < total && !(right <= most)) most = right;
    }
    return most / total;
  }

  ItemStatistic statistic_;
  std::vector<double> gold_;
  std::vector<uint32_t> ones_;
  std::vector<double> ranks_, all_, positive_;
};

// (hits + 1) / (samples + 1) over random swaps of the two lists' scores. A sample without a
// statistic counts as a hit.
template <typename T, typename Statistic>
double swap_test(std::vector<T> a, std::vector<T> b, Statistic&& statistic, double observed,
                 const BootstrapOptions& options) {
  Rng rng(options.seed + 1);
  size_t hits = 0;
  for (size_t s = 0; s < options.samples; ++s) {
    uint64_t bits = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      if (i % 64 == 0) bits = rng.next();
      if ((bits >> (i % 64) & 1) != 0) std::swap(a[i], b[i]);  // on top of the last swaps
    }
    const double difference = std::abs(statistic(a) - statistic(b));
    hits += difference < std::abs(observed) - 1e-12 ? 0 : 1;
  }
  return static_cast<double>(hits + 1) / static_cast<double>(options.samples + 1);
}

Interval bootstrap_interval(Paired& paired, size_t n, double observed,
                            const BootstrapOptions& options) {
  Rng rng(options.seed);
  std::vector<uint32_t> counts(n);
  std::vector<double> samples;
  for (size_t s = 0; s < options.samples; ++s) {
    std::fill(counts.begin(), counts.end(), 0U);
    for (size_t i = 0; i < n; ++i) ++counts[rng.below(n)];
    const double sample = paired.difference(counts);
    if (!std::isnan(sample)) samples.push_back(sample);
  }
  if (samples.empty()) return {observed, observed, observed};
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double q) {
    return samples[static_cast<size_t>(std::lround(q * static_cast<double>(samples.size() - 1)))];
  };
  return {observed, at((1 - options.level) / 2), at((1 + options.level) / 2)};
}

}  // namespace

PairedTest paired_statistic_test(ItemStatistic statistic, std::span<const double> a,
                                 std::span<const double> b, std::span<const double> gold,
                                 const BootstrapOptions& options) {
  constexpr std::string_view kWhere = "paired test";
  AKIN_CHECK(statistic != ItemStatistic::mean);
  check_rows(a.size(), 2, kWhere);
  check_same_size(b.size(), a.size(), kWhere, "second system");
  check_same_size(gold.size(), a.size(), kWhere, "gold");
  check_finite(a, kWhere, "score");
  check_finite(b, kWhere, "score");
  check_finite(gold, kWhere, "gold");
  Paired paired(statistic, a, b, gold);
  PairedTest out;
  out.difference = paired.difference(std::vector<uint32_t>(a.size(), 1));
  if (std::isnan(out.difference)) {
    throw_error(ErrorKind::usage, kWhere, "a system's scores or the gold are all equal");
  }
  out.interval = bootstrap_interval(paired, a.size(), out.difference, options);
  if (statistic == ItemStatistic::pearson) {
    const std::vector<uint32_t> ones(a.size(), 1);
    out.p_value = swap_test(
        standardised(a), standardised(b),
        [&](std::span<const double> x) { return counted_pearson(x, gold, ones); }, out.difference,
        options);
  } else {
    out.p_value = swap_test(doubled_ranks(a), doubled_ranks(b), RankedStatistic(statistic, gold),
                            out.difference, options);
  }
  return out;
}

}  // namespace akin::eval
