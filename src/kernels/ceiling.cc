#include "kernels/ceiling.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ceiling.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

double multiply_adds(size_t rounds) {
  const hn::CappedTag<float, 16> d;
  constexpr size_t kSums = 12;  // covers four cycles of latency on two units
  using V = hn::Vec<decltype(d)>;
  V sum[kSums];
  for (auto& s : sum) s = hn::Zero(d);
  const V x = hn::Set(d, 0.999F), y = hn::Set(d, 1e-9F);
  for (size_t r = 0; r < rounds; ++r) {
    for (auto& s : sum) s = hn::MulAdd(s, x, y);
  }
  V total = sum[0];
  for (size_t i = 1; i < kSums; ++i) total = hn::Add(total, sum[i]);
  volatile float keep = hn::GetLane(hn::SumOfLanes(d, total));  // the loop has a use
  static_cast<void>(keep);
  return 2.0 * static_cast<double>(rounds * kSums * hn::Lanes(d));
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::kernels {

HWY_EXPORT(multiply_adds);

double spin_multiply_adds(size_t rounds) { return HWY_DYNAMIC_DISPATCH(multiply_adds)(rounds); }

}  // namespace akin::kernels
#endif  // HWY_ONCE
