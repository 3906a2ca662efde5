// Calibration against scikit-learn's isotonic and sigmoid fits, thresholds against trying every
// cut, and input that cannot be calibrated.
#include "eval/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"

namespace akin::eval {
namespace {

struct Pairs {
  std::vector<double> scores;
  std::vector<uint8_t> labels;
};

Pairs random_pairs(size_t n, uint64_t seed, double gap, int digits) {
  Rng rng(seed);
  Pairs out;
  const double grid = std::pow(10, digits);
  for (size_t i = 0; i < n; ++i) {
    const auto label = static_cast<uint8_t>(rng.below(2));
    out.labels.push_back(label);
    out.scores.push_back(std::round((0.4 + gap * label + 0.15 * rng.normal()) * grid) / grid);
  }
  return out;
}

TEST(Calibration, FitsAsScikitLearnDoes) {
  const auto golden = nlohmann::json::parse(read_file("tests/goldens/calibration.json"));
  for (const auto& one : golden["cases"]) {
    const auto scores = one["scores"].get<std::vector<double>>();
    const auto labels = one["labels"].get<std::vector<uint8_t>>();
    const auto isotonic = fit_isotonic(scores, labels);
    const auto platt = fit_platt(scores, labels);
    for (size_t i = 0; i < one["probes"].size(); ++i) {
      const double probe = one["probes"][i];
      EXPECT_NEAR(isotonic.probability(probe), one["isotonic"][i].get<double>(), 1e-9) << probe;
      EXPECT_NEAR(platt.probability(probe), one["platt"][i].get<double>(), 2e-4) << probe;
    }
  }
}

TEST(Calibration, PicksTheBestCut) {
  for (uint64_t seed = 1; seed < 30; ++seed) {
    const auto pairs = random_pairs(60, seed, 0.2, seed % 2 == 0 ? 1 : 6);
    const auto report = pick_threshold(pairs.scores, pairs.labels, ThresholdGoal::f1, 0.9);
    double best = 0;
    for (const double cut : pairs.scores) {
      double tp = 0, fp = 0, fn = 0;
      for (size_t i = 0; i < pairs.scores.size(); ++i) {
        const bool match = pairs.scores[i] >= cut;
        tp += match && pairs.labels[i] == 1 ? 1 : 0;
        fp += match && pairs.labels[i] == 0 ? 1 : 0;
        fn += !match && pairs.labels[i] == 1 ? 1 : 0;
      }
      best = std::max(best, 2 * tp / (2 * tp + fp + fn));
    }
    EXPECT_DOUBLE_EQ(report.f1, best) << seed;
    size_t matches = 0;
    for (const double score : pairs.scores) matches += score >= report.threshold ? 1 : 0;
    EXPECT_EQ(matches, report.true_positive + report.false_positive);
  }
}

TEST(Calibration, ReachesAGoalOrSaysThatItCannot) {
  const std::vector<double> scores = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6};
  const std::vector<uint8_t> labels = {0, 1, 0, 1, 0, 1};
  const auto precise = pick_threshold(scores, labels, ThresholdGoal::precision, 0.66);
  EXPECT_TRUE(precise.reached);
  EXPECT_DOUBLE_EQ(precise.precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(precise.recall, 2.0 / 3);
  EXPECT_NEAR(precise.threshold, 0.35, 1e-12);
  const auto complete = pick_threshold(scores, labels, ThresholdGoal::recall, 1);
  EXPECT_TRUE(complete.reached);
  EXPECT_NEAR(complete.threshold, 0.15, 1e-12);
  const std::vector<uint8_t> upside = {1, 1, 1, 0, 0, 0};
  const auto never = pick_threshold(scores, upside, ThresholdGoal::precision, 0.9);
  EXPECT_FALSE(never.reached);
  EXPECT_DOUBLE_EQ(never.precision, 0.5);
}

TEST(Calibration, IsSoundOnHeldOutPairs) {
  const auto few = random_pairs(200, 3, 0.3, 6);
  const auto platt = calibrate(few.scores, few.labels);
  EXPECT_EQ(platt.calibrator.method, CalibrationMethod::platt);
  EXPECT_GT(platt.calibrator.a, 0);
  EXPECT_LT(platt.brier, 0.2);
  EXPECT_GT(platt.held_out_precision, 0.7);
  EXPECT_LT(platt.calibration_error, 0.15);
  ASSERT_TRUE(platt.threshold.precision_interval.has_value());
  EXPECT_LE(platt.threshold.precision_interval->first, platt.threshold.precision);
  EXPECT_GE(platt.threshold.precision_interval->second, platt.threshold.precision);
  EXPECT_EQ(calibration_json(platt).dump(),
            calibration_json(calibrate(few.scores, few.labels)).dump());
  EXPECT_NE(calibration_text(platt).find("threshold"), std::string::npos);
  // A step that no sigmoid follows: isotonic is taken.
  Pairs step;
  Rng rng(4);
  for (size_t i = 0; i < 4000; ++i) {
    const double score = rng.uniform();
    const double p = score < 0.2 ? 0.05 : score < 0.8 ? 0.5 : 0.95;
    step.scores.push_back(score);
    step.labels.push_back(rng.uniform() < p ? 1 : 0);
  }
  const auto isotonic = calibrate(step.scores, step.labels);
  EXPECT_EQ(isotonic.calibrator.method, CalibrationMethod::isotonic);
  EXPECT_NEAR(isotonic.calibrator.probability(0.5), 0.5, 0.08);
  EXPECT_NEAR(isotonic.calibrator.probability(0.95), 0.95, 0.05);
}

TEST(Calibration, SeparableAndConstantScoresStayFinite) {
  std::vector<double> scores;
  std::vector<uint8_t> labels;
  for (int i = 0; i < 20; ++i) {
    scores.push_back(i < 10 ? 0.1 : 0.9);
    labels.push_back(i < 10 ? 0 : 1);
  }
  const auto apart = calibrate(scores, labels);
  EXPECT_TRUE(std::isfinite(apart.calibrator.a) && std::isfinite(apart.log_loss));
  EXPECT_DOUBLE_EQ(apart.threshold.f1, 1);
  EXPECT_NEAR(apart.threshold.threshold, 0.5, 1e-12);
  const std::vector<double> same(20, 0.5);
  const auto flat = calibrate(same, labels, {.method = CalibrationMethod::isotonic});
  EXPECT_DOUBLE_EQ(flat.calibrator.probability(0.5), 0.5);
  EXPECT_DOUBLE_EQ(flat.calibrator.probability(-3), 0.5);
  EXPECT_NEAR(calibrate(same, labels).calibrator.probability(0.5), 0.5, 1e-6);
}

TEST(Calibration, RefusesWhatItCannotFit) {
  const std::vector<double> scores(12, 0.5);
  std::vector<uint8_t> labels(12, 1);
  EXPECT_THROW(calibrate(scores, labels), Error);
  labels[0] = 0;
  EXPECT_THROW(calibrate(scores, labels), Error);  // one pair of a class
  labels[1] = 2;
  EXPECT_THROW(calibrate(scores, labels), Error);
  EXPECT_THROW(calibrate(scores, std::vector<uint8_t>(3, 1)), Error);
  std::vector<double> broken = scores;
  broken[3] = std::numeric_limits<double>::quiet_NaN();
  labels = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
  EXPECT_THROW(calibrate(broken, labels), Error);
  EXPECT_THROW(pick_threshold(scores, labels, ThresholdGoal::recall, 0), Error);
}

}  // namespace
}  // namespace akin::eval
