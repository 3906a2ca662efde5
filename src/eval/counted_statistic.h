// Statistics of a bootstrap sample given as counts: item i is in the sample counts[i] times. Scores
// are sorted once, each sample is then one pass. Not the statistics that are reported
// (correlation.h, average_precision.h), though with all counts 1 they are the same.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace akin::eval {

// Items in rising order of a score; ends[i]: whether the next item has another score.
struct ScoreOrder {
  std::vector<uint32_t> items;
  std::vector<uint8_t> ends;
  explicit ScoreOrder(std::span<const double> scores);
};

// ranks[i] = the average rank of item i in the sample.
void counted_ranks(const ScoreOrder& order, std::span<const uint32_t> counts,
                   std::span<double> ranks);

// NaN when a side is constant.
double counted_pearson(std::span<const double> x, std::span<const double> y,
                       std::span<const uint32_t> counts);

// Average precision with ties collapsed; gold > 0 is a match. NaN when the sample has none.
double counted_ap(const ScoreOrder& order, std::span<const double> gold,
                  std::span<const uint32_t> counts);

// The most items that one threshold puts on their side, as a share: matches from it on, with at
// least one group of equal scores on each side. NaN when all scores are equal.
double counted_accuracy(const ScoreOrder& order, std::span<const double> gold,
                        std::span<const uint32_t> counts);

}  // namespace akin::eval
