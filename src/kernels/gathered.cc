// Highway bodies of gathered.h. Rows lie next to each other in lanes: four columns of four or eight
// rows are transposed at a time, and several pieces of the depth advance together, because each is
// a chain in which every sum waits for the one before.
#include "kernels/gathered.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gathered.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
// after highway.h
#include "kernels/matmul.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Rows of a float64 product side by side; fewer than four are not worth a transposition.
using DW = hn::CappedTag<double, 8>;
constexpr size_t kWide = hn::MaxLanes(DW());

HWY_INLINE double wide_product(const double* x, const float* row, size_t dims) {
  const hn::CappedTag<double, 1> d;
  auto sum = hn::Zero(d);
  for (size_t k = 0; k < dims; ++k)
    sum = hn::MulAdd(hn::Set(d, x[k]), hn::Set(d, double{row[k]}), sum);
  return hn::GetLane(sum);
}

#if HWY_TARGET == HWY_SCALAR
void gathered_wide(const double* x, const float* rows, size_t stride, size_t dims,
                   const uint32_t* ids, size_t count, double* out) {
  for (size_t i = 0; i < count; ++i) out[i] = wide_product(x, rows + ids[i] * stride, dims);
}

void gathered(const float* x, const float* rows, size_t stride, size_t dims, const uint32_t* ids,
              size_t count, size_t piece, float* out) {
  const hn::CappedTag<float, 1> d;
  for (size_t i = 0; i < count; ++i) {
    const float* row = rows + ids[i] * stride;
    auto total = hn::Zero(d);
    for (size_t begin = 0; begin < dims; begin += piece) {
      auto sum = hn::Zero(d);
      for (size_t k = begin; k < HWY_MIN(dims, begin + piece); ++k)
        sum = hn::MulAdd(hn::LoadU(d, row + k), hn::LoadU(d, x + k), sum);
      total = begin == 0 ? sum : hn::Add(sum, total);
    }
    out[i] = hn::GetLane(hn::Add(total, hn::Zero(d)));
  }
}
#else

using DG = hn::CappedTag<float, 8>;
using D4 = hn::CappedTag<float, 4>;
constexpr size_t kGroup = hn::MaxLanes(DG());

// Four floats of row i, and of row i + 4 behind them where the vector has room.
template <class D>
HWY_INLINE hn::Vec<D> load_fours(D d, const float* const* rows, size_t i, size_t at) {
  if constexpr (hn::MaxLanes(D()) == 8) {
    const D4 d4;
    return hn::Combine(d, hn::LoadU(d4, rows[i + 4] + at), hn::LoadU(d4, rows[i] + at));
  } else {
    return hn::LoadU(d, rows[i] + at);
  }
}

// Calls f(k, column at + k of all rows) for k = 0 .. 3.
template <class D, class F>
HWY_INLINE void four_columns(D d, const float* const* rows, size_t at, const F& f) {
  const hn::Repartition<double, D> d2;
  const auto r0 = load_fours(d, rows, 0, at), r1 = load_fours(d, rows, 1, at),
             r2 = load_fours(d, rows, 2, at), r3 = load_fours(d, rows, 3, at);
  const auto low01 = hn::BitCast(d2, hn::InterleaveLower(d, r0, r1));
  const auto low23 = hn::BitCast(d2, hn::InterleaveLower(d, r2, r3));
  const auto high01 = hn::BitCast(d2, hn::InterleaveUpper(d, r0, r1));
  const auto high23 = hn::BitCast(d2, hn::InterleaveUpper(d, r2, r3));
  f(0, hn::BitCast(d, hn::InterleaveLower(d2, low01, low23)));
  f(1, hn::BitCast(d, hn::InterleaveUpper(d2, low01, low23)));
  f(2, hn::BitCast(d, hn::InterleaveLower(d2, high01, high23)));
  f(3, hn::BitCast(d, hn::InterleaveUpper(d2, high01, high23)));
}

// Columns at .. at + 3 of all rows, onto sum in that order.
template <class D, class V = hn::Vec<D> >
HWY_INLINE V add_four(D d, const float* x, const float* const* rows, size_t at, V sum) {
  four_columns(d, rows, at, [&](size_t k, V column) HWY_ATTR {
    sum = hn::MulAdd(column, hn::Set(d, x[at + k]), sum);
  });
  return sum;
}

// P pieces from `begin` on, each of `length` and `piece` apart, onto total one after another.
template <size_t P, class D, class V = hn::Vec<D> >
HWY_INLINE V add_pieces(D d, const float* x, const float* const* rows, size_t begin, size_t length,
                        size_t piece, V total) {
  V sums[P];
  for (size_t p = 0; p < P; ++p) sums[p] = hn::Zero(d);
  size_t k = 0;
  for (; k + 4 <= length; k += 4) {
    for (size_t p = 0; p < P; ++p) sums[p] = add_four(d, x, rows, begin + p * piece + k, sums[p]);
  }
  for (; k < length; ++k) {
    HWY_ALIGN float column[8];
    for (size_t p = 0; p < P; ++p) {
      const size_t at = begin + p * piece + k;
      for (size_t r = 0; r < hn::MaxLanes(D()); ++r) column[r] = rows[r][at];
      sums[p] = hn::MulAdd(hn::Load(d, column), hn::Set(d, x[at]), sums[p]);
    }
  }
  for (size_t p = 0; p < P; ++p) total = begin + p == 0 ? sums[0] : hn::Add(sums[p], total);
  return total;
}

template <class D>
HWY_INLINE void group(D d, const float* x, const float* const* rows, size_t dims, size_t piece,
                      float* out) {
  auto total = hn::Zero(d);
  size_t begin = 0;
  for (; begin + 4 * piece <= dims; begin += 4 * piece)
    total = add_pieces<4>(d, x, rows, begin, piece, piece, total);
  for (; begin + 2 * piece <= dims; begin += 2 * piece)
    total = add_pieces<2>(d, x, rows, begin, piece, piece, total);
  for (; begin < dims; begin += piece)
    total = add_pieces<1>(d, x, rows, begin, HWY_MIN(piece, dims - begin), piece, total);
  hn::StoreU(hn::Add(total, hn::Zero(d)), d, out);
}

void gathered(const float* x, const float* rows, size_t stride, size_t dims, const uint32_t* ids,
              size_t count, size_t piece, float* out) {
  const float* from[kGroup];
  size_t i = 0;
  for (; i + kGroup <= count; i += kGroup) {
    for (size_t r = 0; r < kGroup; ++r) from[r] = rows + ids[i + r] * stride;
    group(DG(), x, from, dims, piece, out + i);
  }
  for (; i < count; i += 4) {
    float part[4];
    const size_t left = HWY_MIN(size_t{4}, count - i);
    for (size_t r = 0; r < 4; ++r) from[r] = rows + ids[i + HWY_MIN(r, left - 1)] * stride;
    group(D4(), x, from, dims, piece, part);
    for (size_t r = 0; r < left; ++r) out[i + r] = part[r];
  }
}

// Two groups of rows at once: their chains do not wait for each other.
void gathered_wide(const double* x, const float* rows, size_t stride, size_t dims,
                   const uint32_t* ids, size_t count, double* out) {
  if constexpr (kWide < 4) {
    for (size_t i = 0; i < count; ++i) out[i] = wide_product(x, rows + ids[i] * stride, dims);
    return;
  } else {
    const DW dw;
    const hn::CappedTag<float, kWide> d;
    using V = hn::Vec<hn::CappedTag<float, kWide> >;
    for (size_t i = 0; i < count; i += 2 * kWide) {
      const float* from[2 * kWide];
      for (size_t r = 0; r < 2 * kWide; ++r)
        from[r] = rows + ids[HWY_MIN(i + r, count - 1)] * stride;
      hn::Vec<DW> sums[2] = {hn::Zero(dw), hn::Zero(dw)};
      size_t k = 0;
      for (; k + 4 <= dims; k += 4) {
        for (size_t g = 0; g < 2; ++g) {
          four_columns(d, from + g * kWide, k, [&](size_t j, V column) HWY_ATTR {
            sums[g] = hn::MulAdd(hn::Set(dw, x[k + j]), hn::PromoteTo(dw, column), sums[g]);
          });
        }
      }
      double part[2 * kWide];
      hn::StoreU(sums[0], dw, part);
      hn::StoreU(sums[1], dw, part + kWide);
      const hn::CappedTag<double, 1> one;
      for (size_t r = 0; r < HWY_MIN(2 * kWide, count - i); ++r) {
        auto sum = hn::Set(one, part[r]);
        for (size_t rest = k; rest < dims; ++rest)
          sum = hn::MulAdd(hn::Set(one, x[rest]), hn::Set(one, double{from[r][rest]}), sum);
        out[i + r] = hn::GetLane(sum);
      }
    }
  }
}
#endif

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::kernels {

static_assert(MatmulArgs{}.depth == kLinearPiece);

HWY_EXPORT(gathered);
HWY_EXPORT(gathered_wide);

void gathered_products(const float* x, MatView<const float> rows, std::span<const uint32_t> ids,
                       size_t piece, float* out) {
  AKIN_CHECK(piece > 0);
  HWY_DYNAMIC_DISPATCH(gathered)
  (x, rows.data(), rows.stride(), rows.cols(), ids.data(), ids.size(), piece, out);
}

void gathered_products(const double* x, MatView<const float> rows, std::span<const uint32_t> ids,
                       double* out) {
  HWY_DYNAMIC_DISPATCH(gathered_wide)
  (x, rows.data(), rows.stride(), rows.cols(), ids.data(), ids.size(), out);
}

}  // namespace akin::kernels
#endif  // HWY_ONCE
