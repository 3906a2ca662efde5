#include "eval/average_precision.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string_view>
#include <vector>

#include "eval/checks.h"

namespace akin::eval {
namespace {

void check_input(std::span<const uint8_t> labels, std::span<const double> scores,
                 std::string_view where) {
  check_rows(labels.size(), 1, where);
  check_same_size(scores.size(), labels.size(), where, "scores");
  check_finite(scores, where, "score");
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] <= 1) continue;
    throw_error(ErrorKind::usage, where, "label of row {} is {}, expected 0 or 1", i, labels[i]);
  }
}

// Row numbers, best score first; equal scores keep their order.
std::vector<size_t> best_first(std::span<const double> scores, bool higher_is_better) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return higher_is_better ? scores[a] > scores[b] : scores[a] < scores[b];
  });
  return order;
}

// Adds thresholds from the best down.
class PrecisionSum {
 public:
  explicit PrecisionSum(size_t positives) : positives_(static_cast<double>(positives)) {}
  void add(size_t hits, size_t rows) {  // of one threshold
    hits_ += static_cast<double>(hits);
    rows_ += static_cast<double>(rows);
    if (hits > 0) sum_ += static_cast<double>(hits) / positives_ * (hits_ / rows_);
  }
  double value() const { return sum_; }

 private:
  double positives_, hits_ = 0, rows_ = 0, sum_ = 0;
};

double ordered_ap(std::span<const uint8_t> labels, std::span<const double> scores,
                  std::span<const size_t> order) {
  PrecisionSum sum(static_cast<size_t>(std::count(labels.begin(), labels.end(), 1)));
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin, hits = 0;
    for (; end < order.size() && scores[order[end]] == scores[order[begin]]; ++end)
      hits += labels[order[end]];
    sum.add(hits, end - begin);
    begin = end;
  }
  return sum.value();
}

}  // namespace

double average_precision(std::span<const uint8_t> labels, std::span<const double> scores) {
  check_input(labels, scores, "average precision");
  return ordered_ap(labels, scores, best_first(scores, true));
}

double average_precision(std::span<const int32_t> truth, std::span<const int32_t> predicted,
                         int32_t positive) {
  check_rows(truth.size(), 1, "average precision");
  check_same_size(predicted.size(), truth.size(), "average precision", "predictions");
  std::map<int32_t, std::pair<size_t, size_t>, std::greater<>> thresholds;  // hits, rows
  for (size_t i = 0; i < truth.size(); ++i) {
    auto& [hits, rows] = thresholds[predicted[i]];
    hits += truth[i] == positive ? 1 : 0;
    ++rows;
  }
  PrecisionSum sum(static_cast<size_t>(std::count(truth.begin(), truth.end(), positive)));
  for (const auto& [score, counts] : thresholds) sum.add(counts.first, counts.second);
  return sum.value();
}

ThresholdScores sweep_thresholds(std::span<const uint8_t> labels, std::span<const double> scores,
                                 bool higher_is_better) {
  check_input(labels, scores, "threshold sweep");
  const auto order = best_first(scores, higher_is_better);
  const size_t n = order.size();
  const auto positives = static_cast<size_t>(std::count(labels.begin(), labels.end(), 1));
  ThresholdScores best;
  best.accuracy_threshold = -1;
  best.ap = ordered_ap(labels, scores, order);
  size_t hits = 0, negatives_left = n - positives;
  for (size_t i = 0; i + 1 < n; ++i) {
    if (labels[order[i]] == 1) {
      ++hits;
    } else {
      --negatives_left;
    }
    const double cut = (scores[order[i]] + scores[order[i + 1]]) / 2;
    const double accuracy = static_cast<double>(hits + negatives_left) / static_cast<double>(n);
    if (accuracy > best.accuracy) {
      best.accuracy = accuracy;
      best.accuracy_threshold = cut;
    }
    if (hits == 0) continue;
    const double precision = static_cast<double>(hits) / static_cast<double>(i + 1);
    const double recall = static_cast<double>(hits) / static_cast<double>(positives);
    const double f1 = 2 * precision * recall / (precision + recall);
    if (f1 > best.f1) {
      best.f1 = f1;
      best.precision = precision;
      best.recall = recall;
      best.f1_threshold = cut;
    }
  }
  return best;
}

}  // namespace akin::eval
