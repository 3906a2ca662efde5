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

// Empty for fewer than two items, or where the statistic is not a number on the items as they are.
std::optional<Interval> item_interval(const store::ItemScores& items,
                                      const BootstrapOptions& options = {});

}  // namespace akin::eval
