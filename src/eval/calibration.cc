#include "eval/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"
#include "eval/average_precision.h"
#include "eval/checks.h"

namespace akin::eval {
namespace {

constexpr std::string_view kWhere = "calibration";
constexpr size_t kLeastPairs = 10;
constexpr size_t kIsotonicFrom = 1000;  // fewer pairs than this: steps follow the noise

double sigmoid(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

// log(1 + exp(x)) without overflow.
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

void check_pairs(std::span<const double> scores, std::span<const uint8_t> labels, size_t least) {
  check_rows(scores.size(), least, kWhere);
  check_same_size(labels.size(), scores.size(), kWhere, "labels");
  check_finite(scores, kWhere, "score");
  size_t positives = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] > 1) {
      throw_error(ErrorKind::usage, kWhere, "label of row {} is {}, expected 0 or 1", i, labels[i]);
    }
    positives += labels[i];
  }
  if (positives == 0 || positives == labels.size()) {
    throw_error(ErrorKind::usage, kWhere,
                "all {} labels are {}; give pairs that match (1) and pairs that do not (0)",
                labels.size(), positives == 0 ? 0 : 1);
  }
}

std::vector<uint32_t> rising(std::span<const double> scores) {
  std::vector<uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return scores[a] < scores[b]; });
  return order;
}

// Platt's problem in standardised scores: p = sigmoid(a z + b), smoothed targets.
struct PlattProblem {
  std::vector<double> z;
  std::vector<double> targets;

  double loss(double a, double b) const {
    double sum = 0;
    for (size_t i = 0; i < z.size(); ++i) {
      const double f = a * z[i] + b;
      sum += softplus(f) - targets[i] * f;
    }
    return sum;
  }
  // Gradient, and the Hessian with a ridge that keeps it positive definite.
  void derivatives(double a, double b, std::array<double, 2>& g, std::array<double, 3>& h) const {
    g = {0, 0};
    h = {1e-12, 0, 1e-12};
    for (size_t i = 0; i < z.size(); ++i) {
      const double p = sigmoid(a * z[i] + b), d = p - targets[i], w = p * (1 - p);
      g[0] += d * z[i];
      g[1] += d;
      h[0] += w * z[i] * z[i];
      h[1] += w * z[i];
      h[2] += w;
    }
  }
};

// Newton's method with backtracking. Returns {a, b}.
std::array<double, 2> minimise(const PlattProblem& problem, double a, double b) {
  double loss = problem.loss(a, b);
  for (int iteration = 0; iteration < 100; ++iteration) {
    std::array<double, 2> g;
    std::array<double, 3> h;
    problem.derivatives(a, b, g, h);
    if (std::abs(g[0]) < 1e-9 && std::abs(g[1]) < 1e-9) break;
    const double determinant = h[0] * h[2] - h[1] * h[1];
    if (!(determinant > 0)) break;
    const double da = -(h[2] * g[0] - h[1] * g[1]) / determinant;
    const double db = -(h[0] * g[1] - h[1] * g[0]) / determinant;
    const double slope = g[0] * da + g[1] * db;
    double step = 1;
    for (; step > 1e-10; step /= 2) {
      const double next = problem.loss(a + step * da, b + step * db);
      if (next > loss + 1e-4 * step * slope) continue;
      a += step * da;
      b += step * db;
      loss = next;
      break;
    }
    if (step <= 1e-10) break;
  }
  return {a, b};
}

struct Quality {
  double brier = 0, log_loss = 0;
};

Quality quality(std::span<const double> probabilities, std::span<const uint8_t> labels) {
  Quality out;
  for (size_t i = 0; i < labels.size(); ++i) {
    const double p = probabilities[i], y = labels[i];
    out.brier += (p - y) * (p - y);
    const double clipped = std::clamp(p, 1e-15, 1 - 1e-15);  // as scikit-learn clips
    out.log_loss -= y > 0 ? std::log(clipped) : std::log1p(-clipped);
  }
  out.brier /= static_cast<double>(labels.size());
  out.log_loss /= static_cast<double>(labels.size());
  return out;
}

// Fold of each pair: shuffled within each class, dealt round robin, so that folds are alike.
std::vector<uint32_t> deal_folds(std::span<const uint8_t> labels, size_t folds, uint64_t seed) {
  Rng rng(seed);
  std::vector<uint32_t> out(labels.size());
  uint32_t next = 0;
  for (const uint8_t side : {uint8_t{0}, uint8_t{1}}) {
    std::vector<uint32_t> rows;
    for (size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] == side) rows.push_back(static_cast<uint32_t>(i));
    }
    for (size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[rng.below(i)]);
    for (const uint32_t row : rows) out[row] = next++ % static_cast<uint32_t>(folds);
  }
  return out;
}

Calibrator fit(CalibrationMethod method, std::span<const double> scores,
               std::span<const uint8_t> labels) {
  return method == CalibrationMethod::isotonic ? fit_isotonic(scores, labels)
                                               : fit_platt(scores, labels);
}

struct HeldOut {
  std::vector<double> probabilities;
  size_t tp = 0, fp = 0, fn = 0;
};

// Every pair judged by a calibrator and a threshold that have not seen it.
HeldOut cross_validate(CalibrationMethod method, std::span<const double> scores,
                       std::span<const uint8_t> labels, const CalibrationOptions& options,
                       size_t folds) {
  HeldOut out;
  out.probabilities.resize(scores.size());
  const auto fold_of = deal_folds(labels, folds, options.seed);
  for (uint32_t fold = 0; fold < folds; ++fold) {
    std::vector<double> train;
    std::vector<uint8_t> train_labels;
    for (size_t i = 0; i < scores.size(); ++i) {
      if (fold_of[i] == fold) continue;
      train.push_back(scores[i]);
      train_labels.push_back(labels[i]);
    }
    const auto calibrator = fit(method, train, train_labels);
    const double cut = pick_threshold(train, train_labels, options.goal, options.target).threshold;
    for (size_t i = 0; i < scores.size(); ++i) {
      if (fold_of[i] != fold) continue;
      out.probabilities[i] = calibrator.probability(scores[i]);
      const bool match = scores[i] >= cut;
      out.tp += match && labels[i] == 1 ? 1 : 0;
      out.fp += match && labels[i] == 0 ? 1 : 0;
      out.fn += !match && labels[i] == 1 ? 1 : 0;
    }
  }
  return out;
}

double ratio(size_t part, size_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// Ten bins of equal count over the held-out probabilities, and the mean gap between what they say
// and what is so.
void reliability(std::span<const double> probabilities, std::span<const uint8_t> labels,
                 Calibration& out) {
  const auto order = rising(probabilities);
  const size_t bins = std::min<size_t>(10, order.size());
  for (size_t bin = 0; bin < bins; ++bin) {
    const size_t begin = bin * order.size() / bins, end = (bin + 1) * order.size() / bins;
    Calibration::Bin row{0, 0, end - begin};
    for (size_t i = begin; i < end; ++i) {
      row.predicted += probabilities[order[i]];
      row.observed += labels[order[i]];
    }
    const auto count = static_cast<double>(row.count);
    row.predicted /= count;
    row.observed /= count;
    out.calibration_error +=
        std::abs(row.predicted - row.observed) * count / static_cast<double>(order.size());
    out.bins.push_back(row);
  }
}

std::pair<double, double> percentiles(std::vector<double>& samples) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double q) {
    return samples[static_cast<size_t>(std::lround(q * static_cast<double>(samples.size() - 1)))];
  };
  return {at(0.025), at(0.975)};
}

// Bootstrap over pairs at a fixed threshold: only the four counts matter.
void add_intervals(ThresholdReport& report, const CalibrationOptions& options) {
  const size_t n =
      report.true_positive + report.false_positive + report.false_negative + report.true_negative;
  Rng rng(options.seed);
  std::vector<double> precision, recall;
  for (size_t s = 0; s < options.resamples; ++s) {
    size_t tp = 0, fp = 0, fn = 0;
    for (size_t i = 0; i < n; ++i) {
      size_t pick = rng.below(n);
      if (pick < report.true_positive) {
        ++tp;
      } else if (pick -= report.true_positive; pick < report.false_positive) {
        ++fp;
      } else if (pick -= report.false_positive; pick < report.false_negative) {
        ++fn;
      }
    }
    if (tp + fp > 0) precision.push_back(ratio(tp, tp + fp));
    if (tp + fn > 0) recall.push_back(ratio(tp, tp + fn));
  }
  if (!precision.empty()) report.precision_interval = percentiles(precision);
  if (!recall.empty()) report.recall_interval = percentiles(recall);
}

}  // namespace

std::span<const std::string_view> choices(CalibrationMethod) {
  static constexpr std::array<std::string_view, 3> kNames = {"auto", "platt", "isotonic"};
  return kNames;
}

std::span<const std::string_view> choices(ThresholdGoal) {
  static constexpr std::array<std::string_view, 4> kNames = {"f1", "accuracy", "precision",
                                                             "recall"};
  return kNames;
}

double Calibrator::probability(double score) const {
  if (method != CalibrationMethod::isotonic) return sigmoid(a * score + b);
  const auto above = std::upper_bound(knots.begin(), knots.end(), score);
  if (above == knots.begin()) return values.front();
  if (above == knots.end()) return values.back();
  const auto i = static_cast<size_t>(above - knots.begin());
  const double t = (score - knots[i - 1]) / (knots[i] - knots[i - 1]);
  return values[i - 1] + t * (values[i] - values[i - 1]);
}

Calibrator fit_platt(std::span<const double> scores, std::span<const uint8_t> labels) {
  check_pairs(scores, labels, 2);
  const auto n = static_cast<double>(scores.size());
  const double mean = std::accumulate(scores.begin(), scores.end(), 0.0) / n;
  double squares = 0;
  for (const double s : scores) squares += (s - mean) * (s - mean);
  const double deviation = squares > 0 ? std::sqrt(squares / n) : 1;
  const double positives =
      static_cast<double>(std::count(labels.begin(), labels.end(), uint8_t{1}));
  const double negatives = n - positives;
  const double high = (positives + 1) / (positives + 2), low = 1 / (negatives + 2);
  PlattProblem problem;
  for (size_t i = 0; i < scores.size(); ++i) {
    problem.z.push_back((scores[i] - mean) / deviation);
    problem.targets.push_back(labels[i] == 1 ? high : low);
  }
  const auto [a, b] = minimise(problem, 0, std::log((positives + 1) / (negatives + 1)));
  Calibrator out;
  out.method = CalibrationMethod::platt;
  out.a = a / deviation;
  out.b = b - a * mean / deviation;
  return out;
}

Calibrator fit_isotonic(std::span<const double> scores, std::span<const uint8_t> labels) {
  check_pairs(scores, labels, 2);
  struct Block {
    double low, high, sum, count;
  };
  std::vector<Block> blocks;
  for (const uint32_t i : rising(scores)) {
    if (!blocks.empty() && blocks.back().low == scores[i] && blocks.back().high == scores[i]) {
      blocks.back().sum += labels[i];  // equal scores are one point
      blocks.back().count += 1;
    } else {
      blocks.push_back({scores[i], scores[i], static_cast<double>(labels[i]), 1});
    }
  }
  // Pool adjacent violators.
  std::vector<Block> pooled;
  for (const auto& block : blocks) {
    pooled.push_back(block);
    while (pooled.size() > 1) {
      auto& last = pooled.back();
      auto& before = pooled[pooled.size() - 2];
      if (before.sum * last.count < last.sum * before.count) break;
      before.high = last.high;
      before.sum += last.sum;
      before.count += last.count;
      pooled.pop_back();
    }
  }
  Calibrator out;
  out.method = CalibrationMethod::isotonic;
  for (const auto& block : pooled) {
    out.knots.push_back(block.low);
    out.values.push_back(block.sum / block.count);
    if (block.high == block.low) continue;
    out.knots.push_back(block.high);
    out.values.push_back(out.values.back());
  }
  return out;
}

Calibration calibrate(std::span<const double> scores, std::span<const uint8_t> labels,
                      const CalibrationOptions& options) {
  check_pairs(scores, labels, kLeastPairs);
  Calibration out;
  out.pairs = scores.size();
  out.positives = static_cast<size_t>(std::count(labels.begin(), labels.end(), uint8_t{1}));
  // A fold without pairs of one class could not be fitted on the others.
  const size_t rarer = std::min(out.positives, out.pairs - out.positives);
  if (rarer < 2) {
    throw_error(ErrorKind::usage, kWhere,
                "only one pair has the label {}; at least two of each are needed",
                out.positives < 2 ? 1 : 0);
  }
  const size_t folds = std::clamp<size_t>(options.folds, 2, rarer);
  auto method = options.method;
  if (method == CalibrationMethod::automatic) method = CalibrationMethod::platt;
  auto held_out = cross_validate(method, scores, labels, options, folds);
  if (options.method == CalibrationMethod::automatic && out.pairs >= kIsotonicFrom) {
    auto other = cross_validate(CalibrationMethod::isotonic, scores, labels, options, folds);
    if (quality(other.probabilities, labels).brier <
        quality(held_out.probabilities, labels).brier) {
      method = CalibrationMethod::isotonic;
      held_out = std::move(other);
    }
  }
  out.calibrator = fit(method, scores, labels);
  out.average_precision = average_precision(labels, scores);
  const auto measured = quality(held_out.probabilities, labels);
  out.brier = measured.brier;
  out.log_loss = measured.log_loss;
  out.held_out_precision = ratio(held_out.tp, held_out.tp + held_out.fp);
  out.held_out_recall = ratio(held_out.tp, held_out.tp + held_out.fn);
  reliability(held_out.probabilities, labels, out);
  out.threshold = pick_threshold(scores, labels, options.goal, options.target);
  out.threshold.probability = out.calibrator.probability(out.threshold.threshold);
  if (options.resamples > 0) add_intervals(out.threshold, options);
  return out;
}

}  // namespace akin::eval
