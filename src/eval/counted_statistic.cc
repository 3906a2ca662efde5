#include "eval/counted_statistic.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace akin::eval {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

ScoreOrder::ScoreOrder(std::span<const double> scores) : items(scores.size()), ends(scores.size()) {
  std::iota(items.begin(), items.end(), 0U);
  std::stable_sort(items.begin(), items.end(),
                   [&](uint32_t x, uint32_t y) { return scores[x] < scores[y]; });
  for (size_t i = 0; i < items.size(); ++i) {
    ends[i] = i + 1 == items.size() || scores[items[i]] != scores[items[i + 1]] ? 1 : 0;
  }
}

void counted_ranks(const ScoreOrder& order, std::span<const uint32_t> counts,
                   std::span<double> ranks) {
  double below = 0;
  size_t begin = 0;
  double tied = 0;
  for (size_t i = 0; i < order.items.size(); ++i) {
    tied += counts[order.items[i]];
    if (order.ends[i] == 0) continue;
    const double rank = below + (tied + 1) / 2;
    for (size_t j = begin; j <= i; ++j) ranks[order.items[j]] = rank;
    below += tied;
    tied = 0;
    begin = i + 1;
  }
}

double counted_pearson(std::span<const double> x, std::span<const double> y,
                       std::span<const uint32_t> counts) {
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
    const double dx = x[i] - mean_x, dy = y[i] - mean_y;
    xx += counts[i] * dx * dx;
    yy += counts[i] * dy * dy;
    xy += counts[i] * dx * dy;
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : kNan;
}

double counted_ap(const ScoreOrder& order, std::span<const double> gold,
                  std::span<const uint32_t> counts) {
  double positives = 0;
  for (size_t i = 0; i < gold.size(); ++i) positives += gold[i] > 0 ? counts[i] : 0;
  if (positives <= 0) return kNan;
  double hits = 0, seen = 0, group = 0, sum = 0;
  for (size_t i = order.items.size(); i-- > 0;) {
    const uint32_t item = order.items[i];
    group += gold[item] > 0 ? counts[item] : 0;
    seen += counts[item];
    if (i > 0 && order.ends[i - 1] == 0) continue;
    hits += group;
    if (seen > 0) sum += group * hits / seen;
    group = 0;
  }
  return sum / positives;
}

double counted_accuracy(const ScoreOrder& order, std::span<const double> gold,
                        std::span<const uint32_t> counts) {
  double total = 0, right = 0;  // with every item called no match, at first
  for (size_t i = 0; i < gold.size(); ++i) {
    total += counts[i];
    right += gold[i] > 0 ? 0 : counts[i];
  }
  double most = kNan, seen = 0;
  for (size_t i = order.items.size(); i-- > 0;) {
    const uint32_t item = order.items[i];
    right += gold[item] > 0 ? counts[item] : -static_cast<double>(counts[item]);
    seen += counts[item];
    if ((i > 0 && order.ends[i - 1] == 0) || seen <= 0 || seen >= total) continue;
    if (!(right <= most)) most = right;
  }
  return most / total;
}

}  // namespace akin::eval
