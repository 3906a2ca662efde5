// The 95 % bootstrap interval of a score from its items, in linear time a resample: rows are drawn
// by counting, and ranks and average precision are taken over counts. See bootstrap.h for the plain
// way, and paired_statistic.h for two systems.
#pragma once

#include <optional>
#include <span>
#include <utility>

#include "eval/bootstrap.h"
#include "store/item_scores.h"

namespace akin::eval {

// Of the mean over the slices (splits, subsets) of their statistics; the items of each are drawn by
// themselves. Empty for no slice or fewer than two items in one, or where a statistic is not a
// number on the items as they are.
std::optional<Interval> item_interval(std::span<const store::ItemScores> slices,
                                      const BootstrapOptions& options = {});

}  // namespace akin::eval
