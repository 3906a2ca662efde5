// Binary labels against a score: average precision with tied scores collapsed into one threshold
// (scikit-learn's definition), and the best accuracy and F1 over thresholds by mteb's sweep, which
// does not collapse ties. NaN scores are refused (usage).
#pragma once

#include <cstdint>
#include <span>

namespace akin::eval {

// AP = sum (R_n - R_{n-1}) P_n over distinct thresholds, highest score first. labels are 0 or 1; 0
// when there is no positive.
double average_precision(std::span<const uint8_t> labels, std::span<const double> scores);

// The same over integer predictions used as scores; truth == positive is the positive class.
double average_precision(std::span<const int32_t> truth, std::span<const int32_t> predicted,
                         int32_t positive);

struct ThresholdScores {
  double accuracy = 0, accuracy_threshold = 0;
  double f1 = 0, precision = 0, recall = 0, f1_threshold = 0;  // precision, recall at the best F1
  double ap = 0;
};
// Rows sorted by score (stable, so ties keep their order), best end first; the sweep cuts after row
// 0..n-2 and keeps the first strict maximum. higher_is_better = false for distances (AP then uses
// the negated score). Errors: usage when sizes differ, empty, a label is not 0 or 1, or a NaN.
ThresholdScores sweep_thresholds(std::span<const uint8_t> labels, std::span<const double> scores,
                                 bool higher_is_better);

}  // namespace akin::eval
