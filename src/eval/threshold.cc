// The threshold half of calibration.h: which score to cut at, and how a calibration reads in words
// and in JSON.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "eval/calibration.h"
#include "eval/checks.h"

namespace akin::eval {
namespace {

using Json = nlohmann::ordered_json;

ThresholdReport report_at(double threshold, size_t tp, size_t fp, size_t positives, size_t n) {
  ThresholdReport out;
  out.threshold = threshold;
  out.true_positive = tp;
  out.false_positive = fp;
  out.false_negative = positives - tp;
  out.true_negative = n - positives - fp;
  const auto divide = [](size_t part, size_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
  };
  out.precision = divide(tp, tp + fp);
  out.recall = divide(tp, positives);
  out.f1 = divide(2 * tp, tp + fp + positives);
  out.accuracy = divide(tp + out.true_negative, n);
  return out;
}

// Whether a is a better choice than b. Candidates come in falling order of threshold.
bool better(const ThresholdReport& a, const ThresholdReport& b, ThresholdGoal goal, double target) {
  switch (goal) {
    case ThresholdGoal::accuracy:
      return a.accuracy > b.accuracy;
    case ThresholdGoal::precision:  // the lowest threshold that keeps it: most recall
      if ((a.precision >= target) != (b.precision >= target)) return a.precision >= target;
      return a.precision >= target ? a.recall >= b.recall : a.precision > b.precision;
    case ThresholdGoal::recall:  // the highest threshold that has it
      if ((a.recall >= target) != (b.recall >= target)) return a.recall >= target;
      return a.recall >= target ? false : a.recall > b.recall;
    default:
      return a.f1 > b.f1;
  }
}

Json interval_json(const std::optional<std::pair<double, double>>& interval) {
  if (!interval) return nullptr;
  return {interval->first, interval->second};
}

std::string interval_text(const std::optional<std::pair<double, double>>& interval) {
  if (!interval) return {};
  return fmt::format(" (95 % interval {:.1f} to {:.1f})", 100 * interval->first,
                     100 * interval->second);
}

}  // namespace

ThresholdReport pick_threshold(std::span<const double> scores, std::span<const uint8_t> labels,
                               ThresholdGoal goal, double target) {
  constexpr std::string_view kWhere = "threshold";
  check_rows(scores.size(), 1, kWhere);
  check_same_size(labels.size(), scores.size(), kWhere, "labels");
  check_finite(scores, kWhere, "score");
  if (!(target > 0 && target <= 1)) {
    throw_error(ErrorKind::usage, kWhere, "target is {}, expected more than 0 and at most 1",
                target);
  }
  std::vector<uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
  const auto positives = static_cast<size_t>(std::count(labels.begin(), labels.end(), uint8_t{1}));
  ThresholdReport best;
  bool first = true;
  size_t tp = 0, fp = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    tp += labels[order[i]] == 1 ? 1 : 0;
    fp += labels[order[i]] == 1 ? 0 : 1;
    const double here = scores[order[i]];
    const bool last = i + 1 == order.size();
    if (!last && scores[order[i + 1]] == here) continue;  // equal scores fall on one side
    // Half way to the next score, so that the cut does not hang on the last digit of one pair.
    const double next = last ? here : scores[order[i + 1]];
    double cut = here + (next - here) / 2;
    if (!(cut > next)) cut = here;
    auto candidate = report_at(cut, tp, fp, positives, scores.size());
    if (first || better(candidate, best, goal, target)) best = candidate;
    first = false;
  }
  best.reached = (goal != ThresholdGoal::precision || best.precision >= target) &&
                 (goal != ThresholdGoal::recall || best.recall >= target);
  return best;
}

nlohmann::ordered_json calibration_json(const Calibration& c) {
  const auto& fit = c.calibrator;
  Json calibrator = {{"method", choices(CalibrationMethod{})[static_cast<size_t>(fit.method)]}};
  if (fit.method == CalibrationMethod::isotonic) {
    calibrator["knots"] = fit.knots;
    calibrator["values"] = fit.values;
  } else {
    calibrator["a"] = fit.a;
    calibrator["b"] = fit.b;
  }
  Json bins = Json::array();
  for (const auto& bin : c.bins) {
    bins.push_back(
        {{"predicted", bin.predicted}, {"observed", bin.observed}, {"count", bin.count}});
  }
  const auto& t = c.threshold;
  return {{"pairs", c.pairs},
          {"positives", c.positives},
          {"average_precision", c.average_precision},
          {"calibrator", std::move(calibrator)},
          {"threshold",
           {{"score", t.threshold},
            {"probability", t.probability},
            {"precision", t.precision},
            {"precision_interval", interval_json(t.precision_interval)},
            {"recall", t.recall},
            {"recall_interval", interval_json(t.recall_interval)},
            {"f1", t.f1},
            {"accuracy", t.accuracy},
            {"true_positive", t.true_positive},
            {"false_positive", t.false_positive},
            {"false_negative", t.false_negative},
            {"true_negative", t.true_negative},
            {"goal_reached", t.reached}}},
          {"held_out",
           {{"brier", c.brier},
            {"log_loss", c.log_loss},
            {"calibration_error", c.calibration_error},
            {"precision", c.held_out_precision},
            {"recall", c.held_out_recall},
            {"bins", std::move(bins)}}}};
}

std::string calibration_text(const Calibration& c) {
  const auto& t = c.threshold;
  std::string out = fmt::format("{} pairs, {} of them match; average precision {:.2f}\n", c.pairs,
                                c.positives, 100 * c.average_precision);
  if (c.calibrator.method == CalibrationMethod::isotonic) {
    out += fmt::format("probability = isotonic step function with {} knots\n",
                       c.calibrator.knots.size());
  } else {
    out += fmt::format("probability = 1 / (1 + exp(-({:.6g} * score {} {:.6g})))\n", c.calibrator.a,
                       c.calibrator.b < 0 ? "-" : "+", std::abs(c.calibrator.b));
  }
  out += fmt::format("threshold {:.6g}: a pair matches from this score on (probability {:.3f})\n",
                     t.threshold, t.probability);
  if (!t.reached) out += "no threshold reaches the goal on these pairs; this one comes nearest\n";
  out +=
      fmt::format("  precision {:.1f}{}\n", 100 * t.precision, interval_text(t.precision_interval));
  out += fmt::format("  recall    {:.1f}{}\n", 100 * t.recall, interval_text(t.recall_interval));
  out += fmt::format("  F1 {:.1f}, accuracy {:.1f}; {} right and {} wrong matches, {} missed\n",
                     100 * t.f1, 100 * t.accuracy, t.true_positive, t.false_positive,
                     t.false_negative);
  out += fmt::format(
      "on pairs held out: precision {:.1f}, recall {:.1f}, Brier score {:.4f}, calibration error "
      "{:.3f}\n",
      100 * c.held_out_precision, 100 * c.held_out_recall, c.brier, c.calibration_error);
  return out;
}

}  // namespace akin::eval
