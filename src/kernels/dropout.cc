#include "kernels/dropout.h"

#include <cmath>

#include "base/error.h"
#include "base/rng.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dropout.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/dropout-inl.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

void drop_row(const Dropout& dropout, uint32_t first, const float* x, const float* residual,
              float* out, size_t n) {
  for_lanes(n, [&](auto d, size_t i) HWY_ATTR {
    const auto kept = drop_f32(d, hn::LoadU(d, x + i), dropout, first + static_cast<uint32_t>(i));
    hn::StoreU(residual == nullptr ? kept : hn::Add(kept, hn::LoadU(d, residual + i)), d, out + i);
  });
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::kernels {

HWY_EXPORT(drop_row);

Dropout make_dropout(double p, uint64_t key) {
  AKIN_CHECK(p >= 0 && p < 1);
  Dropout out;
  out.key = key;
  out.threshold = static_cast<uint32_t>(std::llround(p * 4294967295.0));
  out.scale = static_cast<float>(1.0 / (1.0 - p));
  return out;
}

uint64_t dropout_key(uint64_t seed, uint64_t text, uint64_t layer, uint64_t site) {
  const uint64_t use = Rng(Rng(seed).next() ^ text).next();
  return Rng(use ^ (layer * 16 + site)).next();
}

float dropout_factor(const Dropout& dropout, uint32_t element) {
  uint32_t h = element ^ static_cast<uint32_t>(dropout.key);
  h = (h ^ h >> 16) * kDropoutFirst;
  h = ((h ^ h >> 15) + static_cast<uint32_t>(dropout.key >> 32)) * kDropoutSecond;
  return (h ^ h >> 16) < dropout.threshold ? 0.0F : dropout.scale;
}

void apply_dropout(const Dropout& dropout, uint32_t first, std::span<const float> x,
                   const float* residual, float* out) {
  HWY_DYNAMIC_DISPATCH(drop_row)(dropout, first, x.data(), residual, out, x.size());
}

}  // namespace akin::kernels
#endif  // HWY_ONCE
