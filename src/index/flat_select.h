// The step of FlatSearch that looks at every score: which of a row are worth keeping. Internal to
// index/.
#pragma once

#include <cstddef>
#include <cstdint>

namespace akin::index {

inline constexpr size_t kSelectPadding = 16;  // values behind the outputs that may be written

// The columns c < n with scores[c] >= thresholds[c], ascending, and their scores; returns how many.
// A score that is not a number is never among them. Room for n + kSelectPadding in both outputs.
size_t select_at_least(const float* scores, const float* thresholds, size_t n, uint32_t* columns,
                       float* kept);

// Whether all n values are numbers and finite.
bool all_finite(const float* values, size_t n);

}  // namespace akin::index
