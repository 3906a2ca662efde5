// Highway bodies of rounding.h. Rounding to nearest, ties to even, in integers: a bfloat16 is the
// upper half of an f32.
#include "kernels/rounding.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rounding.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D, class V = hn::Vec<D>>
HWY_INLINE void add(D d, V v, V& squares, V& lost, V& largest) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto up = hn::Add(hn::Add(bits, hn::Set(du, 0x7FFF)), odd);
  const V gap = hn::Sub(v, hn::BitCast(d, hn::And(up, hn::Set(du, 0xFFFF0000U))));
  squares = hn::MulAdd(v, v, squares);
  lost = hn::MulAdd(gap, gap, lost);
  largest = hn::Max(largest, hn::Abs(v));
}

// out: the sums of squares of the values and of what rounding takes from them, and the largest
// value.
void sums_of(const float* x, size_t dims, float* out) {
  const hn::CappedTag<float, 16> d;
  const hn::CappedTag<float, 1> one;
  const size_t lanes = hn::Lanes(d);
  auto squares = hn::Zero(d), lost = hn::Zero(d), largest = hn::Zero(d);
  size_t k = 0;
  for (; k + lanes <= dims; k += lanes) add(d, hn::LoadU(d, x + k), squares, lost, largest);
  auto squares1 = hn::Zero(one), lost1 = squares1, largest1 = squares1;
  for (; k < dims; ++k) add(one, hn::LoadU(one, x + k), squares1, lost1, largest1);
  out[0] = hn::GetLane(hn::SumOfLanes(d, squares)) + hn::GetLane(squares1);
  out[1] = hn::GetLane(hn::SumOfLanes(d, lost)) + hn::GetLane(lost1);
  out[2] = HWY_MAX(hn::GetLane(hn::MaxOfLanes(d, largest)), hn::GetLane(largest1));
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::kernels {

HWY_EXPORT(sums_of);

Rounding rounding_of(const float* x, size_t dims) {
  // Within these squares neither overflow nor vanish, and what those units flush to zero (below
  // 2^-126) is nothing beside the slack.
  constexpr float kLeast = 1e-10F, kMost = 1e10F;
  constexpr size_t kMostDims = 65536;
  float sums[3];
  HWY_DYNAMIC_DISPATCH(sums_of)(x, dims, sums);
  const auto [squares, lost, largest] = sums;
  if (largest == 0) return {};
  if (!(largest >= kLeast && largest <= kMost) || dims > kMostDims) {
    return {.norm = 0, .lost = 0, .usable = false};
  }
  // A sum of n squares is off by n 2^-24 at most, relatively: 1 % for the most dims.
  const float slack = 1.0001F + static_cast<float>(dims) / 16777216.0F;
  const float norm = std::sqrt(squares) * slack;
  return {.norm = norm, .lost = std::sqrt(lost) * slack + 1e-6F * norm, .usable = true};
}

}  // namespace akin::kernels
#endif  // HWY_ONCE
