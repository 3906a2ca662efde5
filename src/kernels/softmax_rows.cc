// The exponentials of a contrastive softmax in vectors, once per Highway target.
#include "kernels/softmax_rows.h"

#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/softmax_rows.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/activation-inl.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr float kLowest = -3.0e38F;  // below every logit

template <class D>
HWY_INLINE hn::Vec<D> logits_at(D d, const LogitRow& row, size_t j) {
  const auto scaled = hn::Mul(hn::LoadU(d, row.dots + j), hn::LoadU(d, row.inverse_norms + j));
  return hn::Mul(scaled, hn::Set(d, row.scale));
}

// Sums or maxima of a row: a vector of them, and one lane for what is left behind whole vectors.
struct Lanes {
  using DF = hn::CappedTag<float, 16>;
  using D1 = hn::CappedTag<float, 1>;
  HWY_INLINE explicit Lanes(float start) : whole(hn::Set(DF(), start)), one(hn::Set(D1(), start)) {}
  template <class D>
  HWY_INLINE hn::Vec<D>& of(D) {
    if constexpr (std::is_same_v<D, D1>) {
      return one;
    } else {
      return whole;
    }
  }
  HWY_INLINE float sum() const {
    return hn::GetLane(hn::SumOfLanes(DF(), whole)) + hn::GetLane(one);
  }
  HWY_INLINE float max() const {
    return HWY_MAX(hn::GetLane(hn::MaxOfLanes(DF(), whole)), hn::GetLane(one));
  }
  hn::Vec<DF> whole;
  hn::Vec<D1> one;
};

// The two exponentials of a vector of logits.
template <bool kOneExp, class D>
struct Exponentials {
  HWY_INLINE Exponentials(D d, hn::Vec<D> x, const LogitShifts& shifts, size_t j)
      : row(exp_f32(d, hn::Sub(x, hn::Set(d, shifts.row)))),
        column(kOneExp ? row : exp_f32(d, hn::Sub(x, hn::LoadU(d, shifts.columns + j)))) {}
  hn::Vec<D> row, column;
};

float maxima(const LogitRow& row, float* column_maxima) {
  Lanes largest(kLowest);
  for_lanes(row.size, [&](auto d, size_t j) HWY_ATTR {
    const auto x = logits_at(d, row, j);
    largest.of(d) = hn::Max(largest.of(d), x);
    hn::StoreU(hn::Max(hn::LoadU(d, column_maxima + j), x), d, column_maxima + j);
  });
  return largest.max();
}

template <bool kOneExp>
LogitSums sums_as(const LogitRow& row, const LogitShifts& shifts, float* column_sums) {
  Lanes sum(0), largest(kLowest);
  for_lanes(row.size, [&](auto d, size_t j) HWY_ATTR {
    const auto x = logits_at(d, row, j);
    const Exponentials<kOneExp, decltype(d)> e(d, x, shifts, j);
    largest.of(d) = hn::Max(largest.of(d), x);
    sum.of(d) = hn::Add(sum.of(d), e.row);
    hn::StoreU(hn::Add(hn::LoadU(d, column_sums + j), e.column), d, column_sums + j);
  });
  return {sum.sum(), largest.max()};
}

LogitSums sums(const LogitRow& row, const LogitShifts& shifts, float* column_sums) {
  return shifts.columns == nullptr ? sums_as<true>(row, shifts, column_sums)
                                   : sums_as<false>(row, shifts, column_sums);
}

template <bool kOneExp>
float gradients_as(const LogitRow& row, const LogitShifts& shifts, float row_weight,
                   const float* column_weights, float* column_sums, float* out) {
  Lanes sum(0);
  for_lanes(row.size, [&](auto d, size_t j) HWY_ATTR {
    const auto x = logits_at(d, row, j);
    const Exponentials<kOneExp, decltype(d)> e(d, x, shifts, j);
    const auto own = hn::Mul(e.row, hn::Set(d, row_weight));
    const auto g = hn::MulAdd(e.column, hn::LoadU(d, column_weights + j), own);
    const auto along = hn::Mul(g, x);
    sum.of(d) = hn::Add(sum.of(d), along);
    hn::StoreU(hn::Add(hn::LoadU(d, column_sums + j), along), d, column_sums + j);
    const auto inverse = hn::Mul(hn::LoadU(d, row.inverse_norms + j), hn::Set(d, row.scale));
    hn::StoreU(hn::Mul(g, inverse), d, out + j);
  });
  return sum.sum();
}

float gradients(const LogitRow& row, const LogitShifts& shifts, float row_weight,
                const float* column_weights, float* column_sums, float* out) {
  return shifts.columns == nullptr
             ? gradients_as<true>(row, shifts, row_weight, column_weights, column_sums, out)
             : gradients_as<false>(row, shifts, row_weight, column_weights, column_sums, out);
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::kernels {

HWY_EXPORT(maxima);
HWY_EXPORT(sums);
HWY_EXPORT(gradients);

float logit_maxima(const LogitRow& row, float* column_maxima) {
  return HWY_DYNAMIC_DISPATCH(maxima)(row, column_maxima);
}
LogitSums logit_sums(const LogitRow& row, const LogitShifts& shifts, float* column_sums) {
  return HWY_DYNAMIC_DISPATCH(sums)(row, shifts, column_sums);
}
float logit_gradients(const LogitRow& row, const LogitShifts& shifts, float row_weight,
                      const float* column_weights, float* column_sums, float* out) {
  return HWY_DYNAMIC_DISPATCH(gradients)(row, shifts, row_weight, column_weights, column_sums, out);
}

}  // namespace akin::kernels
#endif  // HWY_ONCE
