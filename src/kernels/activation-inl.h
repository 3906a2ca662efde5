// Vector exp and activations, compiled once per Highway target. Include only from files that use
// foreach_target.h. Accuracy: exp within 2 ulp on [-87, 88], 0 below; gelu_erf within 6e-8 absolute
// plus 1 ulp.

#if defined(AKIN_KERNELS_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AKIN_KERNELS_ACTIVATION_INL_H_
#undef AKIN_KERNELS_ACTIVATION_INL_H_
#else
#define AKIN_KERNELS_ACTIVATION_INL_H_
#endif

#include <hwy/highway.h>

#include "core/arch_spec.h"
#include "kernels/activation_table.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// 2^n p(r) where x = n ln 2 + r, |r| <= ln2 / 2, of x in [-87.3, 88.7]; p is the Taylor polynomial
// of degree 7 (error < 2^-27).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exp_in_range(D d, V x) {
  const hn::RebindToSigned<D> di;
  const V magic = hn::Set(d, 12582912.0F);  // 1.5 * 2^23: adding it leaves n in the low bits
  const V shifted = hn::MulAdd(x, hn::Set(d, 1.44269504088896341F), magic);
  const V n = hn::Sub(shifted, magic);
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693359375F), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4F), r);
  V p = hn::Set(d, 1.9841269841e-4F);
  p = hn::MulAdd(p, r, hn::Set(d, 1.3888888889e-3F));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3333333333e-3F));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1666666667e-2F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666666667e-1F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F));
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
  return hn::BitCast(d, hn::Add(hn::BitCast(di, p), exponent));
}

// exp(x), 0 below -87.3 and exp(88) above 88.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exp_f32(D d, V x) {
  const V lowest = hn::Set(d, -87.3F);
  const V inside = hn::Min(hn::Max(x, lowest), hn::Set(d, 88.0F));
  return hn::IfThenZeroElse(hn::Lt(x, lowest), exp_in_range(d, inside));
}

// exp(x) of x <= 0, as a softmax wants it.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exp_of_negative(D d, V x) {
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.3F)), exp_in_range(d, x));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V sigmoid_f32(D d, V x) {
  const V one = hn::Set(d, 1.0F);
  return hn::Div(one, hn::Add(one, exp_f32(d, hn::Neg(x))));
}

// tanh(x) = sign(x) (1 - e) / (1 + e), e = exp(-2|x|); the short series below 0.04 keeps relative
// accuracy.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V tanh_f32(D d, V x) {
  const V one = hn::Set(d, 1.0F);
  const V a = hn::Abs(x);
  const V e = exp_f32(d, hn::Mul(a, hn::Set(d, -2.0F)));
  const V big = hn::Div(hn::Sub(one, e), hn::Add(one, e));
  const V a2 = hn::Mul(a, a);
  const V series = hn::MulAdd(a2, hn::Set(d, 2.0F / 15.0F), hn::Set(d, -1.0F / 3.0F));
  const V small = hn::MulAdd(hn::Mul(a, a2), series, a);
  return hn::CopySign(hn::IfThenElse(hn::Lt(a, hn::Set(d, 0.04F)), small, big), x);
}

// Where |x| lies in a table: its piece, and how far from the piece's centre.
template <class D, class V = hn::Vec<D>>
struct GeluPlace {
  HWY_INLINE GeluPlace(D d, V x) {
    const hn::RebindToSigned<D> di;
    const V magic = hn::Set(d, 8388608.0F);  // 2^23: adding it leaves round(u) in the low bits
    const V u =
        hn::Min(hn::Mul(hn::Abs(x), hn::Set(d, kGeluScale)), hn::Set(d, kGeluPieces - 0.5001F));
    const V rounded = hn::Add(u, magic);
    t = hn::Sub(u, hn::Sub(rounded, magic));
    piece =
        hn::And(hn::BitCast(di, rounded), hn::Set(di, kGeluPieces - 1));  // in range for NaN too
  }
  V t;
  hn::Vec<hn::RebindToSigned<D>> piece;
};

template <int kDegree = kGeluDegree, class D, class V = hn::Vec<D>>
HWY_INLINE V gelu_polynomial(D d, const GeluPlace<D>& place, const GeluTable& table) {
  static_assert(kDegree == kGeluDegree || kDegree == kGeluCoarseDegree);
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  const auto index = hn::IndicesFromVec(d, place.piece);
  const auto coefficient = [&](int j) HWY_ATTR {
    return hn::TableLookupLanes(hn::Load(d, table.c[j]), index);
  };
#else
  const auto coefficient = [&](int j)
                               HWY_ATTR { return hn::GatherIndex(d, table.c[j], place.piece); };
#endif
  // Even and odd powers apart (Estrin): half the latency of Horner's rule.
  const V t = place.t, t2 = hn::Mul(t, t);
  V high = hn::MulAdd(coefficient(3), t, coefficient(2));
  if constexpr (kDegree > 3)
    high = hn::MulAdd(hn::MulAdd(coefficient(5), t, coefficient(4)), t2, high);
  return hn::MulAdd(high, t2, hn::MulAdd(coefficient(1), t, coefficient(0)));
}

// max(x, 0); a NaN stays one.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V positive_part([[maybe_unused]] D d, V x) {
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  return hn::Max(hn::Zero(d), x);  // one instruction; x second, so that its NaN is taken
#else
  return hn::ZeroIfNegative(x);
#endif
}

template <int kDegree = kGeluDegree, class D, class V = hn::Vec<D>>
HWY_INLINE V gelu_erf_f32(D d, V x, const GeluTable& table) {
  return hn::Sub(positive_part(d, x), gelu_polynomial<kDegree>(d, GeluPlace<D>(d, x), table));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V gelu_tanh_f32(D d, V x) {
  const V x2 = hn::Mul(x, x);
  const V inner = hn::MulAdd(x2, hn::Set(d, 0.044715F), hn::Set(d, 1.0F));
  return hn::Mul(x, sigmoid_f32(d, hn::Mul(hn::Mul(x, inner), hn::Set(d, 1.5957691216057308F))));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V activate_f32(D d, V x, Activation activation, const GeluTable& table) {
  switch (activation) {
    case Activation::gelu_erf:
      return gelu_erf_f32(d, x, table);
    case Activation::gelu_tanh:
      return gelu_tanh_f32(d, x);
    case Activation::relu:
      return hn::ZeroIfNegative(x);
    case Activation::silu:
      return hn::Mul(x, sigmoid_f32(d, x));
    case Activation::tanh:
      return tanh_f32(d, x);
    case Activation::sigmoid:
      return sigmoid_f32(d, x);
    case Activation::identity:
      break;
  }
  return x;
}

// An activation and its derivative at x. 1 - sigmoid is taken as e / (1 + e), which keeps its
// relative accuracy.
template <class V>
struct ActivationSlope {
  V value, slope;
};

template <class D, class V = hn::Vec<D>>
HWY_INLINE ActivationSlope<V> gelu_erf_slope(D d, V x, const GeluTable& table,
                                             const GeluTable& slopes) {
  const GeluPlace<D> place(d, x);
  const V value = hn::Sub(hn::ZeroIfNegative(x), gelu_polynomial(d, place, table));
  const V s = gelu_polynomial(d, place, slopes);
  const V one = hn::Set(d, 1.0F);
  return {value, hn::IfThenElse(hn::Lt(x, hn::Zero(d)), s, hn::Sub(one, s))};
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE ActivationSlope<V> activation_slope(D d, V x, Activation activation,
                                               const GeluTable& table, const GeluTable& slopes) {
  const V one = hn::Set(d, 1.0F), zero = hn::Zero(d);
  switch (activation) {
    case Activation::gelu_erf:
      return gelu_erf_slope(d, x, table, slopes);
    case Activation::gelu_tanh: {
      const V x2 = hn::Mul(x, x), c = hn::Set(d, 1.5957691216057308F);
      const V y = hn::Mul(hn::Mul(x, hn::MulAdd(x2, hn::Set(d, 0.044715F), one)), c);
      const V e = exp_f32(d, hn::Neg(y)), s = hn::Div(one, hn::Add(one, e));
      const V dy = hn::Mul(hn::MulAdd(x2, hn::Set(d, 3 * 0.044715F), one), c);
      return {hn::Mul(x, s), hn::MulAdd(hn::Mul(x, dy), hn::Mul(s, hn::Mul(e, s)), s)};
    }
    case Activation::relu:
      return {hn::ZeroIfNegative(x), hn::IfThenElse(hn::Gt(x, zero), one, zero)};
    case Activation::silu: {
      const V e = exp_f32(d, hn::Neg(x)), s = hn::Div(one, hn::Add(one, e)), value = hn::Mul(x, s);
      return {value, hn::MulAdd(value, hn::Mul(e, s), s)};
    }
    case Activation::tanh: {
      const V t = tanh_f32(d, x);
      return {t, hn::NegMulAdd(t, t, one)};
    }
    case Activation::sigmoid: {
      const V e = exp_f32(d, hn::Neg(x)), s = hn::Div(one, hn::Add(one, e));
      return {s, hn::Mul(s, hn::Mul(e, s))};
    }
    case Activation::identity:
      break;
  }
  return {x, one};
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
