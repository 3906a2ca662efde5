#include "index/flat_select.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/flat_select.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace akin::index::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, kSelectPadding>;
using DU = hn::RebindToUnsigned<DF>;

size_t select(const float* scores, const float* thresholds, size_t n, uint32_t* columns,
              float* kept) {
  const DF d;
  const DU du;
  const size_t lanes = hn::Lanes(d);
  size_t count = 0, c = 0;
  for (; c + lanes <= n; c += lanes) {
    const auto score = hn::LoadU(d, scores + c);
    const auto mask = hn::Ge(score, hn::LoadU(d, thresholds + c));
    if (hn::AllFalse(d, mask)) continue;
    hn::CompressStore(score, mask, d, kept + count);
    count += hn::CompressStore(hn::Iota(du, static_cast<uint32_t>(c)), hn::RebindMask(du, mask), du,
                               columns + count);
  }
  for (; c < n; ++c) {
    if (!(scores[c] >= thresholds[c])) continue;
    columns[count] = static_cast<uint32_t>(c);
    kept[count++] = scores[c];
  }
  return count;
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
HWY_EXPORT(finite);

size_t select_at_least(const float* scores, const float* thresholds, size_t n, uint32_t* columns,
                       float* kept) {
  return HWY_DYNAMIC_DISPATCH(select)(scores, thresholds, n, columns, kept);
}
bool all_finite(const float* values, size_t n) { return HWY_DYNAMIC_DISPATCH(finite)(values, n); }

}  // namespace akin::index
#endif  // HWY_ONCE
