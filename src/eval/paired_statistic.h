// The difference of a statistic (Spearman, Pearson, average precision, best
// accuracy) between two systems that
// scored the same items: paired bootstrap interval and randomisation test, linear time a resample.
// For the mean of per-item scores see paired_test in bootstrap.h.
#pragma once

#include <cstdint>
#include <span>

#include "eval/bootstrap.h"
#include "store/item_scores.h"

namespace akin::eval {

// a, b: scores of the two systems; gold: one for each item. For the randomisation both systems'
// scores are put on one scale first, by rank, for cosines of two models are not comparable (under
// Pearson by mean and deviation). `difference` is the statistic of a less that of b.
// Errors: usage for lengths that differ, no items, NaN. Not for ItemStatistic::mean.
PairedTest paired_statistic_test(store::ItemStatistic statistic, std::span<const double> a,
                                 std::span<const double> b, std::span<const double> gold,
                                 const BootstrapOptions& options = {});

}  // namespace akin::eval
