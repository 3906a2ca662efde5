// Scores of predicted labels: accuracy, precision, recall, F1 (macro and weighted by support), and
// the multilabel ones. Definitions of scikit-learn with zero_division = 0, within 1e-12.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/mat.h"

namespace akin::eval {

struct ClassificationScores {
  double accuracy = 0;
  double f1 = 0, f1_weighted = 0;  // without a suffix: macro over labels in truth or predictions
  double precision = 0, precision_weighted = 0;
  double recall = 0, recall_weighted = 0;
  std::optional<double> ap, ap_weighted;  // only when truth has exactly two labels; on predictions
};
// Labels are any integers. Errors: usage when sizes differ or there are no rows; usage when truth
// has two labels and neither is 1 and `binary_ap` is on (AP has no positive class then).
ClassificationScores score_classification(std::span<const int32_t> truth,
                                          std::span<const int32_t> predicted,
                                          bool binary_ap = true);

struct MultilabelScores {
  double accuracy = 0;  // exact match of whole rows
  double f1 = 0;        // macro over labels
  double lrap = 0;      // label ranking average precision
  double jaccard = 0;   // mean over rows of |both| / |either|, 1 for two empty rows (key "hamming")
};
// truth, predicted: [N, L] of 0 and 1; scores for lrap are the predictions themselves, as in mteb.
MultilabelScores score_multilabel(MatView<const uint8_t> truth, MatView<const uint8_t> predicted);

// Label ranking average precision; ties count as ranked above. scores: [N, L], NaN refused.
double label_ranking_average_precision(MatView<const uint8_t> truth, MatView<const double> scores);

}  // namespace akin::eval
