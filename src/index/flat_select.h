// The steps of FlatSearch that look at every score: which of a row are worth keeping, and which of
// those kept are the best. Internal to index/.
#pragma once

#include <cstddef>
#include <cstdint>

namespace akin::index {

inline constexpr size_t kSelectPadding = 16;  // values behind the outputs that may be written

// The columns c < n with scores[c] >= thresholds[c], ascending, and their scores; returns how many.
// A score that is not a number is never among them. Room for n + kSelectPadding in both outputs.
size_t select_at_least(const float* scores, const float* thresholds, size_t n, uint32_t* columns,
                       float* kept);

// Moves the k largest of n keys to the front, in no order, and returns the smallest of them; what
// lies behind them is lost.
// 0 < k <= n; scratch: room for n + kSelectPadding. Keys should differ; equal ones cost time only.
uint64_t move_largest_to_front(uint64_t* keys, size_t n, size_t k, uint64_t* scratch);

// Whether all n values are numbers and finite.
bool all_finite(const float* values, size_t n);

}  // namespace akin::index
