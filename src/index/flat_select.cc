#include "index/flat_select.h"

#include <algorithm>
#include <functional>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/flat_select.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace akin::index::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, kSelectPadding>;
using DU = hn::RebindToUnsigned<DF>;

struct EachItsOwn {
  template <class D>
  HWY_INLINE hn::Vec<D> load(D d, size_t c) const {
    return hn::LoadU(d, values + c);
  }
  HWY_INLINE float at(size_t c) const { return values[c]; }
  const float* values;
};
struct OneForAll {
  template <class D>
  HWY_INLINE hn::Vec<D> load(D d, size_t) const {
    return hn::Set(d, value);
  }
  HWY_INLINE float at(size_t) const { return value; }
  float value;
};

template <class Thresholds>
HWY_INLINE size_t select_by(const float* scores, const Thresholds& thresholds, size_t n,
                            uint32_t* columns, float* kept) {
  const DF d;
  const DU du;
  const size_t lanes = hn::Lanes(d);
  size_t count = 0, c = 0;
  for (; c + lanes <= n; c += lanes) {
    const auto score = hn::LoadU(d, scores + c);
    const auto mask = hn::Ge(score, thresholds.load(d, c));
    if (hn::AllFalse(d, mask)) continue;
    hn::CompressStore(score, mask, d, kept + count);
    count += hn::CompressStore(hn::Iota(du, static_cast<uint32_t>(c)), hn::RebindMask(du, mask), du,
                               columns + count);
  }
  for (; c < n; ++c) {
    if (!(scores[c] >= thresholds.at(c))) continue;
    columns[count] = static_cast<uint32_t>(c);
    kept[count++] = scores[c];
  }
  return count;
}

size_t select(const float* scores, const float* thresholds, size_t n, uint32_t* columns,
              float* kept) {
  return select_by(scores, EachItsOwn{thresholds}, n, columns, kept);
}
size_t select_one(const float* scores, float threshold, size_t n, uint32_t* columns, float* kept) {
  return select_by(scores, OneForAll{threshold}, n, columns, kept);
}

// Those of n pairs with a score >= threshold, one after another; column(c) gives the columns from c
// on. Outputs may be the inputs: a vector is read before anything is written over it.
template <class Column>
HWY_INLINE size_t keep(const float* scores, float threshold, size_t n, const Column& column,
                       uint32_t* columns, float* kept) {
  const DF d;
  const DU du;
  const size_t lanes = hn::Lanes(d);
  const auto limit = hn::Set(d, threshold);
  size_t count = 0, c = 0;
  for (; c + lanes <= n; c += lanes) {
    const auto score = hn::LoadU(d, scores + c);
    const auto column_numbers = column(du, c);
    const auto mask = hn::Ge(score, limit);
    hn::StoreU(hn::Compress(score, mask), d, kept + count);
    hn::StoreU(hn::Compress(column_numbers, hn::RebindMask(du, mask)), du, columns + count);
    count += hn::CountTrue(d, mask);
  }
  const hn::CappedTag<uint32_t, 1> one;
  for (; c < n; ++c) {
    const float score = scores[c];
    columns[count] = hn::GetLane(column(one, c));
    kept[count] = score;
    count += score >= threshold ? 1 : 0;
  }
  return count;
}

size_t append(const float* scores, float threshold, size_t n, uint32_t first, uint32_t* columns,
              float* kept) {
  const auto column = [=](auto du, size_t c)
                          HWY_ATTR { return hn::Iota(du, first + static_cast<uint32_t>(c)); };
  return keep(scores, threshold, n, column, columns, kept);
}
size_t keep_in_place(float threshold, size_t n, uint32_t* columns, float* kept) {
  const auto column = [=](auto du, size_t c) HWY_ATTR { return hn::LoadU(du, columns + c); };
  return keep(kept, threshold, n, column, columns, kept);
}

size_t keys_at_least(const float* scores, const uint32_t* ranks, float threshold, size_t n,
                     uint64_t* keys) {
  uint32_t own[kSelectMost + kSelectPadding];
  float kept[kSelectMost + kSelectPadding];
  const auto rank = [=](auto du, size_t c) HWY_ATTR { return hn::LoadU(du, ranks + c); };
  const size_t count = keep(scores, threshold, n, rank, own, kept);
  for (size_t i = 0; i < count; ++i) keys[i] = make_key(kept[i], own[i]);
  return count;
}

#if HWY_TARGET == HWY_SCALAR
constexpr size_t kSquare = 1;
HWY_INLINE void turn(const float* in, size_t, float* out, size_t) { *out = *in; }
#else
// Four rows of four.
constexpr size_t kSquare = 4;
HWY_INLINE void turn(const float* in, size_t cols, float* out, size_t rows) {
  const hn::CappedTag<float, 4> d;
  const hn::Repartition<double, decltype(d)> d2;
  const auto q0 = hn::LoadU(d, in), q1 = hn::LoadU(d, in + cols), q2 = hn::LoadU(d, in + 2 * cols),
             q3 = hn::LoadU(d, in + 3 * cols);
  const auto low01 = hn::BitCast(d2, hn::InterleaveLower(d, q0, q1));
  const auto low23 = hn::BitCast(d2, hn::InterleaveLower(d, q2, q3));
  const auto high01 = hn::BitCast(d2, hn::InterleaveUpper(d, q0, q1));
  const auto high23 = hn::BitCast(d2, hn::InterleaveUpper(d, q2, q3));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d2, low01, low23)), d, out);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d2, low01, low23)), d, out + rows);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d2, high01, high23)), d, out + 2 * rows);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d2, high01, high23)), d, out + 3 * rows);
}
#endif

void turn_all(const float* in, size_t rows, size_t cols, float* out) {
  const size_t whole = rows / kSquare * kSquare;
  size_t c = 0;
  for (; c + kSquare <= cols; c += kSquare) {
    for (size_t r = 0; r < whole; r += kSquare)
      turn(in + r * cols + c, cols, out + c * rows + r, rows);
  }
  for (size_t r = 0; r < rows; ++r) {  // the edges
    for (size_t k = r < whole ? c : 0; k < cols; ++k) out[k * rows + r] = in[r * cols + k];
  }
}

// keys > pivot to the front, the others to `rest`, each in order; returns how many went to the
// front. A vector is read before anything is written over it.
size_t partition(uint64_t* keys, size_t n, uint64_t pivot, uint64_t* rest) {
  const hn::CappedTag<uint64_t, kSelectPadding> d;
  const size_t lanes = hn::Lanes(d);
  const auto limit = hn::Set(d, pivot);
  size_t front = 0, back = 0, i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto key = hn::LoadU(d, keys + i);
    const auto larger = hn::Gt(key, limit);
    front += hn::CompressStore(key, larger, d, keys + front);
    back += hn::CompressStore(key, hn::Not(larger), d, rest + back);
  }
  for (; i < n; ++i) {
    const uint64_t key = keys[i];
    const bool larger = key > pivot;
    keys[front] = key;
    rest[back] = key;
    front += larger ? 1 : 0;
    back += larger ? 0 : 1;
  }
  return front;
}

uint64_t least_of(const uint64_t* keys, size_t n) {
  uint64_t least = keys[0];
  for (size_t i = 1; i < n; ++i) least = keys[i] < least ? keys[i] : least;
  return least;
}

bool finite(const float* values, size_t n) {
  const DF d;
  const DU du;
  const size_t lanes = hn::Lanes(d);
  const auto exponent = hn::Set(du, 0x7F800000U);
  auto largest = hn::Zero(du);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto bits = hn::BitCast(du, hn::LoadU(d, values + i));
    largest = hn::Max(largest, hn::And(bits, exponent));
  }
  bool out = hn::AllFalse(du, hn::Eq(largest, exponent));
  for (; i < n; ++i) out = out && values[i] - values[i] == 0.0F;
  return out;
}

}  // namespace akin::index::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::index {

HWY_EXPORT(select);
HWY_EXPORT(select_one);
HWY_EXPORT(append);
HWY_EXPORT(keep_in_place);
HWY_EXPORT(keys_at_least);
HWY_EXPORT(turn_all);
HWY_EXPORT(partition);
HWY_EXPORT(least_of);
HWY_EXPORT(finite);

size_t select_at_least(const float* scores, const float* thresholds, size_t n, uint32_t* columns,
                       float* kept) {
  return HWY_DYNAMIC_DISPATCH(select)(scores, thresholds, n, columns, kept);
}
size_t select_at_least(const float* scores, float threshold, size_t n, uint32_t* columns,
                       float* kept) {
  return HWY_DYNAMIC_DISPATCH(select_one)(scores, threshold, n, columns, kept);
}
size_t append_at_least(const float* scores, float threshold, size_t n, uint32_t first,
                       uint32_t* columns, float* kept) {
  return HWY_DYNAMIC_DISPATCH(append)(scores, threshold, n, first, columns, kept);
}
size_t keep_at_least(float threshold, size_t n, uint32_t* columns, float* kept) {
  return HWY_DYNAMIC_DISPATCH(keep_in_place)(threshold, n, columns, kept);
}
size_t append_keys(const float* scores, const uint32_t* ranks, float threshold, size_t n,
                   uint64_t* keys) {
  return HWY_DYNAMIC_DISPATCH(keys_at_least)(scores, ranks, threshold, n, keys);
}
void transpose(const float* in, size_t rows, size_t cols, float* out) {
  HWY_DYNAMIC_DISPATCH(turn_all)(in, rows, cols, out);
}
// Quickselect. The pivot is the middle one of nine; a pivot that moves nothing ends the quick way.
uint64_t move_largest_to_front(uint64_t* keys, size_t n, size_t k, uint64_t* scratch) {
  uint64_t* part = keys;
  size_t want = k;
  while (n > want) {
    constexpr size_t kSample = 9, kSmall = 64;
    if (n <= kSmall) {
      std::nth_element(part, part + (want - 1), part + n, std::greater<>());
      break;
    }
    uint64_t sample[kSample];
    for (size_t i = 0; i < kSample; ++i) sample[i] = part[i * (n - 1) / (kSample - 1)];
    std::sort(sample, sample + kSample);
    const size_t front = HWY_DYNAMIC_DISPATCH(partition)(part, n, sample[kSample / 2], scratch);
    if (front >= want) {
      n = front;
      continue;
    }
    std::copy_n(scratch, n - front, part + front);
    if (front == 0) {
      std::nth_element(part, part + (want - 1), part + n, std::greater<>());
      break;
    }
    part += front;
    want -= front;
    n -= front;
  }
  return HWY_DYNAMIC_DISPATCH(least_of)(keys, k);
}

// Two counting passes over sixteen bits of the distance to the largest key, scaled so that they
// span all keys; what is then out of order is near its place.
void sort_falling(uint64_t* keys, size_t n, uint64_t* scratch) {
  constexpr size_t kSmall = 64, kBits = 8, kDigits = size_t{1} << kBits, kMostMoves = 16;
  if (n <= kSmall) return std::sort(keys, keys + n, std::greater<>());
  const auto [least, most] = std::minmax_element(keys, keys + n);
  const uint64_t top = *most;
  const int width = static_cast<int>(std::bit_width(top - *least));
  const int shift = std::max(0, width - static_cast<int>(2 * kBits));
  size_t low[kDigits] = {}, high[kDigits] = {};
  const auto digits = [&](uint64_t key) { return static_cast<size_t>((top - key) >> shift); };
  for (size_t i = 0; i < n; ++i) {
    ++low[digits(keys[i]) % kDigits];
    ++high[digits(keys[i]) / kDigits];
  }
  size_t low_sum = 0, high_sum = 0;
  for (size_t d = 0; d < kDigits; ++d) {
    low_sum += std::exchange(low[d], low_sum);
    high_sum += std::exchange(high[d], high_sum);
  }
  for (size_t i = 0; i < n; ++i) scratch[low[digits(keys[i]) % kDigits]++] = keys[i];
  for (size_t i = 0; i < n; ++i) keys[high[digits(scratch[i]) / kDigits]++] = scratch[i];
  size_t moves = 0;
  for (size_t i = 1; i < n; ++i) {
    const uint64_t key = keys[i];
    size_t at = i;
    for (; at > 0 && keys[at - 1] < key; --at) keys[at] = keys[at - 1];
    keys[at] = key;
    moves += i - at;
    if (moves > kMostMoves * n) return std::sort(keys, keys + n, std::greater<>());
  }
}

bool all_finite(const float* values, size_t n) { return HWY_DYNAMIC_DISPATCH(finite)(values, n); }

}  // namespace akin::index
#endif  // HWY_ONCE
