#include "eval/classification_metrics.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "eval/average_precision.h"
#include "eval/checks.h"

namespace akin::eval {
namespace {

struct Counts {
  size_t hits = 0, truth = 0, predicted = 0;  // rows: right, of this label, called this label
};

double ratio(double a, double b) { return b == 0 ? 0 : a / b; }

struct LabelScores {
  double precision, recall, f1;
  explicit LabelScores(const Counts& c)
      : precision(ratio(static_cast<double>(c.hits), static_cast<double>(c.predicted))),
        recall(ratio(static_cast<double>(c.hits), static_cast<double>(c.truth))),
        f1(ratio(2 * precision * recall, precision + recall)) {}
};

std::vector<int32_t> distinct(std::span<const int32_t> a, std::span<const int32_t> b) {
  std::vector<int32_t> labels;
  int32_t last = 0;
  const auto add = [&](std::span<const int32_t> values) {
    for (const int32_t v : values) {
      if (!labels.empty() && v == last) continue;
      last = v;
      const auto at = std::lower_bound(labels.begin(), labels.end(), v);
      if (at == labels.end() || *at != v) labels.insert(at, v);
    }
  };
  add(a);
  add(b);
  return labels;
}

void check_shapes(MatView<const uint8_t> truth, size_t rows, size_t cols) {
  check_rows(truth.rows(), 1, "multilabel scores");
  check_same_size(rows, truth.rows(), "multilabel scores", "predictions");
  check_same_size(cols, truth.cols(), "multilabel scores", "labels of a prediction");
}

}  // namespace

ClassificationScores score_classification(std::span<const int32_t> truth,
                                          std::span<const int32_t> predicted, bool binary_ap) {
  constexpr std::string_view kWhere = "classification scores";
  check_rows(truth.size(), 1, kWhere);
  check_same_size(predicted.size(), truth.size(), kWhere, "predictions");
  const auto labels = distinct(truth, predicted);
  const auto place = [&](int32_t v) {
    return static_cast<size_t>(std::lower_bound(labels.begin(), labels.end(), v) - labels.begin());
  };
  std::vector<Counts> counts(labels.size());
  size_t right = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    Counts& own = counts[place(truth[i])];
    ++own.truth;
    ++counts[place(predicted[i])].predicted;
    if (truth[i] != predicted[i]) continue;
    ++own.hits;
    ++right;
  }
  ClassificationScores out;
  const auto n = static_cast<double>(truth.size()), classes = static_cast<double>(labels.size());
  out.accuracy = static_cast<double>(right) / n;
  size_t in_truth = 0;
  for (const Counts& c : counts) {
    const LabelScores s(c);
    const double weight = static_cast<double>(c.truth) / n;
    in_truth += c.truth > 0 ? 1 : 0;
    out.precision += s.precision / classes;
    out.recall += s.recall / classes;
    out.f1 += s.f1 / classes;
    out.precision_weighted += s.precision * weight;
    out.recall_weighted += s.recall * weight;
    out.f1_weighted += s.f1 * weight;
  }
  if (!binary_ap || in_truth != 2) return out;
  constexpr int32_t kPositive = 1;
  if (std::find(truth.begin(), truth.end(), kPositive) == truth.end()) {
    throw_error(ErrorKind::usage, kWhere,
                "two labels and neither is 1: average precision needs label 1 as the positive one");
  }
  out.ap = out.ap_weighted = average_precision(truth, predicted, kPositive);
  return out;
}

MultilabelScores score_multilabel(MatView<const uint8_t> truth, MatView<const uint8_t> predicted) {
  check_shapes(truth, predicted.rows(), predicted.cols());
  const size_t n = truth.rows(), labels = truth.cols();
  std::vector<Counts> counts(labels);
  MultilabelScores out;
  for (size_t r = 0; r < n; ++r) {
    size_t both = 0, in_truth = 0, in_predicted = 0;
    for (size_t l = 0; l < labels; ++l) {
      const bool t = truth(r, l) != 0, p = predicted(r, l) != 0;
      counts[l].truth += t ? 1 : 0;
      counts[l].predicted += p ? 1 : 0;
      counts[l].hits += t && p ? 1 : 0;
      in_truth += t ? 1 : 0;
      in_predicted += p ? 1 : 0;
      both += t && p ? 1 : 0;
    }
    const size_t either = in_truth + in_predicted - both;
    if (either == both) out.accuracy += 1;
    out.jaccard += either == 0 ? 1 : static_cast<double>(both) / static_cast<double>(either);
    if (in_truth == 0 || in_truth == labels) {
      out.lrap += 1;
      continue;
    }
    // Predictions as scores have two values: a label called rightly ranks below all called ones,
    // one that was missed ranks below all.
    double sum = static_cast<double>(in_truth - both) * static_cast<double>(in_truth) /
                 static_cast<double>(labels);
    if (both > 0) {
      sum +=
          static_cast<double>(both) * static_cast<double>(both) / static_cast<double>(in_predicted);
    }
    out.lrap += sum / static_cast<double>(in_truth);
  }
  for (const Counts& c : counts) out.f1 += LabelScores(c).f1 / static_cast<double>(labels);
  const auto rows = static_cast<double>(n);
  out.accuracy /= rows;
  out.jaccard /= rows;
  out.lrap /= rows;
  return out;
}

double label_ranking_average_precision(MatView<const uint8_t> truth, MatView<const double> scores) {
  check_shapes(truth, scores.rows(), scores.cols());
  const size_t labels = truth.cols();
  double total = 0;
  for (size_t r = 0; r < truth.rows(); ++r) {
    const double* s = scores.row(r);
    check_finite({s, labels}, "label ranking", "score");
    double sum = 0;
    size_t relevant = 0;
    for (size_t l = 0; l < labels; ++l) {
      if (truth(r, l) == 0) continue;
      ++relevant;
      size_t above = 0, above_relevant = 0;  // ties, and the label itself, count as above
      for (size_t m = 0; m < labels; ++m) {
        if (s[m] < s[l]) continue;
        ++above;
        above_relevant += truth(r, m) != 0 ? 1 : 0;
      }
      sum += static_cast<double>(above_relevant) / static_cast<double>(above);
    }
    total += relevant == 0 || relevant == labels ? 1 : sum / static_cast<double>(relevant);
  }
  return total / static_cast<double>(truth.rows());
}

}  // namespace akin::eval
