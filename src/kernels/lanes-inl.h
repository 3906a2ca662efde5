// Loops over a row in vectors, compiled once per Highway target. Include only from files that use
// foreach_target.h.

#if defined(AKIN_KERNELS_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AKIN_KERNELS_LANES_INL_H_
#undef AKIN_KERNELS_LANES_INL_H_
#else
#define AKIN_KERNELS_LANES_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Calls f(d, i) for whole vectors, then f(one lane) for the rest.
template <class F>
HWY_INLINE void for_lanes(size_t n, const F& f) {
  const hn::CappedTag<float, 16> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) f(d, i);
  const hn::CappedTag<float, 1> one;
  for (; i < n; ++i) f(one, i);
}

// The same by whole vectors, then halves and quarters of one, then single lanes: for an f that
// keeps nothing from one call to the next.
template <class F>
HWY_INLINE void map_lanes(size_t n, const F& f) {
  const hn::CappedTag<float, 16> d;
  const hn::CappedTag<float, 8> half;
  const hn::CappedTag<float, 4> quarter;
  const hn::CappedTag<float, 1> one;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) f(d, i);
  for (; i + hn::Lanes(half) <= n; i += hn::Lanes(half)) f(half, i);
  for (; i + hn::Lanes(quarter) <= n; i += hn::Lanes(quarter)) f(quarter, i);
  for (; i < n; ++i) f(one, i);
}

// sum over i of f(vector at i); two accumulators, whole vectors first, then single lanes.
template <class F>
HWY_INLINE float sum_lanes(size_t n, const F& f) {
  const hn::CappedTag<float, 16> d;
  const size_t lanes = hn::Lanes(d);
  auto sum0 = hn::Zero(d), sum1 = hn::Zero(d);
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    sum0 = f(d, i, sum0);
    sum1 = f(d, i + lanes, sum1);
  }
  if (i + lanes <= n) {
    sum0 = f(d, i, sum0);
    i += lanes;
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
  const hn::CappedTag<float, 1> one;
  auto rest = hn::Zero(one);
  for (; i < n; ++i) rest = f(one, i, rest);
  return sum + hn::GetLane(rest);
}

// sum over i of f(vector at i) of a row whose length is seldom a number of whole vectors: four
// accumulators, then a half and a quarter of a vector, then single lanes.
template <class F>
HWY_INLINE float sum_row(size_t n, const F& f) {
  const hn::CappedTag<float, 16> d;
  const hn::CappedTag<float, 8> half;
  const hn::CappedTag<float, 4> quarter;
  const hn::CappedTag<float, 1> one;
  const size_t lanes = hn::Lanes(d);
  auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    sum0 = f(d, i, sum0);
    sum1 = f(d, i + lanes, sum1);
    sum2 = f(d, i + 2 * lanes, sum2);
    sum3 = f(d, i + 3 * lanes, sum3);
  }
  for (; i + lanes <= n; i += lanes) sum0 = f(d, i, sum0);
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3))));
  for (; i + hn::Lanes(half) <= n; i += hn::Lanes(half))
    sum += hn::GetLane(hn::SumOfLanes(half, f(half, i, hn::Zero(half))));
  for (; i + hn::Lanes(quarter) <= n; i += hn::Lanes(quarter))
    sum += hn::GetLane(hn::SumOfLanes(quarter, f(quarter, i, hn::Zero(quarter))));
  for (; i < n; ++i) sum += hn::GetLane(f(one, i, hn::Zero(one)));
  return sum;
}

// Where a vector of a row lies: whole, or the last one with zeros read and nothing written past the
// row's end.
struct WholeLanes {
  size_t i;
  HWY_INLINE auto load(const float* row) const {
    return hn::LoadU(hn::CappedTag<float, 16>(), row + i);
  }
  template <class V>
  HWY_INLINE void store(V v, float* row) const {
    hn::StoreU(v, hn::CappedTag<float, 16>(), row + i);
  }
};
struct LastLanes {
  size_t i, count;
  HWY_INLINE auto load(const float* row) const {
    HWY_ALIGN float buffer[16] = {};
    for (size_t j = 0; j < count; ++j) buffer[j] = row[i + j];
    return hn::Load(hn::CappedTag<float, 16>(), buffer);
  }
  template <class V>
  HWY_INLINE void store(V v, float* row) const {
    HWY_ALIGN float buffer[16];
    hn::Store(v, hn::CappedTag<float, 16>(), buffer);
    for (size_t j = 0; j < count; ++j) row[i + j] = buffer[j];
  }
};

// Calls f(d, at) for vectors of full width only: for functions that use tables as wide as a vector.
template <class F>
HWY_INLINE void for_padded_lanes(size_t n, const F& f) {
  const hn::CappedTag<float, 16> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) f(d, WholeLanes{i});
  if (i < n) f(d, LastLanes{i, n - i});
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
