// The steps of exact search that look at every score: which of a row are worth keeping, and which
// of those kept are the best. Internal to index/.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace akin::index {

inline constexpr size_t kSelectPadding = 16;  // values behind the outputs that may be written

// Score and rank as one number that orders as they do: 64-bit compares are all that selection does.
inline uint64_t make_key(float score, uint32_t rank) {
  const auto bits = std::bit_cast<uint32_t>(score + 0.0F);  // -0 becomes 0
  const uint32_t ordered = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
  return static_cast<uint64_t>(ordered) << 32 | rank;
}
inline float score_of(uint64_t key) {
  const auto ordered = static_cast<uint32_t>(key >> 32);
  return std::bit_cast<float>((ordered & 0x80000000U) != 0 ? ordered & 0x7FFFFFFFU : ~ordered);
}

// The columns c < n with scores[c] >= thresholds[c], ascending, and their scores; returns how many.
// A score that is not a number is never among them. Room for n + kSelectPadding in both outputs.
size_t select_at_least(const float* scores, const float* thresholds, size_t n, uint32_t* columns,
                       float* kept);
// The same with one threshold for all.
size_t select_at_least(const float* scores, float threshold, size_t n, uint32_t* columns,
                       float* kept);

// The same without a branch on what is found, for when much is: columns are first + c.
size_t append_at_least(const float* scores, float threshold, size_t n, uint32_t first,
                       uint32_t* columns, float* kept);
// Of n pairs, those with kept[i] >= threshold, in their order, at the front; returns how many.
size_t keep_at_least(float threshold, size_t n, uint32_t* columns, float* kept);

// Keys of the scores >= threshold and their ranks, one after another; returns how many.
// n <= kSelectMost; room for n in keys.
inline constexpr size_t kSelectMost = 256;
size_t append_keys(const float* scores, const uint32_t* ranks, float threshold, size_t n,
                   uint64_t* keys);

// out[c][r] = in[r][c]; rows of `in` and of `out` lie one after another.
void transpose(const float* in, size_t rows, size_t cols, float* out);

// Moves the k largest of n keys to the front, in no order, and returns the smallest of them; what
// lies behind them is lost.
// 0 < k <= n; scratch: room for n + kSelectPadding. Keys should differ; equal ones cost time only.
uint64_t move_largest_to_front(uint64_t* keys, size_t n, size_t k, uint64_t* scratch);

// Largest first. scratch: room for n.
void sort_falling(uint64_t* keys, size_t n, uint64_t* scratch);

// Whether all n values are numbers and finite.
bool all_finite(const float* values, size_t n);

}  // namespace akin::index
