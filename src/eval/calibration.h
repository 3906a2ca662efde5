// From a similarity score to a probability that a pair is a match, fitted on labelled pairs, and
// the threshold that this suggests. Not a task: it changes no benchmark score.
//
// Platt: p = 1 / (1 + exp(-(a s + b))), targets smoothed as Platt 1999 has it, by Newton's method
// with backtracking (Lin, Lin, Weng 2007, doi:10.1007/s10994-007-5018-6): two parameters, sound
// from some tens of pairs. Isotonic: the non-decreasing step function of least squared error (pool
// adjacent violators): no shape assumed, needs some hundreds. `automatic` takes isotonic from 1000
// pairs on where it has the smaller Brier score in cross-validation, else Platt.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace akin::eval {

enum class CalibrationMethod : uint8_t { automatic, platt, isotonic };
std::span<const std::string_view> choices(CalibrationMethod);

enum class ThresholdGoal : uint8_t {
  f1,         // the threshold of the best F1
  accuracy,   // of the best accuracy
  precision,  // the smallest threshold with precision >= target
  recall,     // the largest threshold with recall >= target
};
std::span<const std::string_view> choices(ThresholdGoal);

struct CalibrationOptions {
  CalibrationMethod method = CalibrationMethod::automatic;
  ThresholdGoal goal = ThresholdGoal::f1;
  double target = 0.9;  // for the goals precision and recall
  size_t folds = 5;     // cross-validation, for the quality measures
  uint64_t seed = 42;
  size_t resamples = 1000;  // bootstrap of precision and recall; 0: no intervals
};

// Score to probability. Scores rise with similarity (negate a distance first).
struct Calibrator {
  CalibrationMethod method = CalibrationMethod::platt;
  double a = 0, b = 0;                // Platt
  std::vector<double> knots, values;  // isotonic: linear between knots, flat outside
  double probability(double score) const;
};

struct ThresholdReport {
  double threshold = 0;  // a pair is a match when score >= threshold
  double probability = 0;
  double precision = 0, recall = 0, f1 = 0, accuracy = 0;
  std::optional<std::pair<double, double>> precision_interval, recall_interval;  // 95 %
  size_t true_positive = 0, false_positive = 0, false_negative = 0, true_negative = 0;
  bool reached = true;  // false: no threshold has the precision or recall asked for; best instead
};

struct Calibration {
  Calibrator calibrator;
  ThresholdReport threshold;
  size_t pairs = 0, positives = 0;
  double average_precision = 0;
  // Cross-validated: what to expect on pairs not seen. Brier score, log loss, expected calibration
  // error over ten bins of equal count.
  double brier = 0, log_loss = 0, calibration_error = 0;
  // Cross-validated precision and recall at a threshold chosen on the other folds.
  double held_out_precision = 0, held_out_recall = 0;
  struct Bin {
    double predicted, observed;
    size_t count;
  };
  std::vector<Bin> bins;
};

Calibrator fit_platt(std::span<const double> scores, std::span<const uint8_t> labels);
Calibrator fit_isotonic(std::span<const double> scores, std::span<const uint8_t> labels);
ThresholdReport pick_threshold(std::span<const double> scores, std::span<const uint8_t> labels,
                               ThresholdGoal goal, double target);
// Labels are 0 or 1. Errors: usage, for lengths that differ, NaN, fewer than 10 pairs, one class.
Calibration calibrate(std::span<const double> scores, std::span<const uint8_t> labels,
                      const CalibrationOptions& options = {});
nlohmann::ordered_json calibration_json(const Calibration& calibration);
std::string calibration_text(const Calibration& calibration);  // for a terminal, several lines

}  // namespace akin::eval
