// The vector form of dropout_factor (dropout.h), compiled once per Highway target. Include only
// from files that use foreach_target.h.

#if defined(AKIN_KERNELS_DROPOUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AKIN_KERNELS_DROPOUT_INL_H_
#undef AKIN_KERNELS_DROPOUT_INL_H_
#else
#define AKIN_KERNELS_DROPOUT_INL_H_
#endif

#include <hwy/highway.h>

#include "kernels/dropout.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// x, with lane i multiplied by the factor of element first + i.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V drop_f32(D d, V x, const Dropout& dropout, uint32_t first) {
  const hn::RebindToUnsigned<D> du;
  const auto low = hn::Set(du, static_cast<uint32_t>(dropout.key)),
             high = hn::Set(du, static_cast<uint32_t>(dropout.key >> 32));
  auto h = hn::Xor(hn::Add(hn::Iota(du, 0), hn::Set(du, first)), low);
  h = hn::Mul(hn::Xor(h, hn::ShiftRight<16>(h)), hn::Set(du, kDropoutFirst));
  h = hn::Add(hn::Xor(h, hn::ShiftRight<15>(h)), high);
  h = hn::Mul(h, hn::Set(du, kDropoutSecond));
  // Signed compare of both sides less 2^31: every target has one.
  const hn::RebindToSigned<D> di;
  const auto flip = hn::Set(du, 0x80000000U);
  const auto dropped = hn::Lt(hn::BitCast(di, hn::Xor(hn::Xor(h, hn::ShiftRight<16>(h)), flip)),
                              hn::BitCast(di, hn::Xor(hn::Set(du, dropout.threshold), flip)));
  return hn::IfThenZeroElse(hn::RebindMask(d, dropped), hn::Mul(x, hn::Set(d, dropout.scale)));
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
