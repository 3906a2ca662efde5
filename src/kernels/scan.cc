// f32 and f16 of scan.h. Sums follow sum_lanes() of lanes-inl.h step by step, for several rows (and
// queries) at a time, so that a score has the bits of dot().
#include "kernels/scan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/scan.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/lanes-inl.h"
#include "kernels/scan_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
using VF = hn::Vec<DF>;

#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr size_t kTile = 4;  // rows and queries: 16 sums, 4 rows, 1 query of 32 registers
#else
constexpr size_t kTile = 2;
#endif
constexpr size_t kRows = 4;  // of one query

struct F32 {
  static constexpr size_t kBytes = 4;
  template <class D>
  static HWY_INLINE hn::Vec<D> load(D d, const uint8_t* row, size_t i) {
    return hn::LoadU(d, reinterpret_cast<const float*>(row) + i);
  }
};
struct F16 {
  static constexpr size_t kBytes = 2;
  template <class D>
  static HWY_INLINE hn::Vec<D> load(D d, const uint8_t* row, size_t i) {
    const hn::Rebind<hwy::float16_t, D> d16;
    return hn::PromoteTo(d, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(row) + i));
  }
};

// What is left behind the whole vectors, one number at a time.
template <class T>
HWY_INLINE float dot_rest(const float* query, const uint8_t* row, size_t begin, size_t dims) {
  const hn::CappedTag<float, 1> one;
  auto rest = hn::Zero(one);
  for (size_t i = begin; i < dims; ++i)
    rest = hn::MulAdd(hn::LoadU(one, query + i), T::load(one, row, i), rest);
  return hn::GetLane(rest);
}

// One query, R rows.
template <class T, size_t R, class Rows>
HWY_INLINE void dot_rows_of(const float* query, const Rows& rows, size_t first, size_t dims,
                            float* out) {
  const DF d;
  const size_t lanes = hn::Lanes(d);
  VF sum0[R], sum1[R];
  const uint8_t *row[R], *ahead[R];
  for (size_t r = 0; r < R; ++r) {
    sum0[r] = sum1[r] = hn::Zero(d);
    row[r] = rows.row(first + r);
    ahead[r] = rows.ahead(first + r);
  }
  size_t i = 0;
  for (; i + 2 * lanes <= dims; i += 2 * lanes) {
    const VF q0 = hn::LoadU(d, query + i), q1 = hn::LoadU(d, query + i + lanes);
    for (size_t r = 0; r < R; ++r) {
      hwy::Prefetch(ahead[r] + i * T::kBytes);
      if (T::kBytes * lanes >= 64) hwy::Prefetch(ahead[r] + (i + lanes) * T::kBytes);
      sum0[r] = hn::MulAdd(q0, T::load(d, row[r], i), sum0[r]);
      sum1[r] = hn::MulAdd(q1, T::load(d, row[r], i + lanes), sum1[r]);
    }
  }
  if (i + lanes <= dims) {
    const VF q0 = hn::LoadU(d, query + i);
    for (size_t r = 0; r < R; ++r) {
      hwy::Prefetch(ahead[r] + i * T::kBytes);
      sum0[r] = hn::MulAdd(q0, T::load(d, row[r], i), sum0[r]);
    }
    i += lanes;
  }
  for (size_t r = 0; r < R; ++r) {
    const float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0[r], sum1[r])));
    out[r] = sum + dot_rest<T>(query, row[r], i, dims);
  }
}

// kTile queries, kTile rows: the even vectors first, then the odd ones, so that the sums of either
// fit into registers.
template <class T, class Rows>
HWY_INLINE void dot_tile(MatView<const float> queries, const Rows& rows, size_t first,
                         MatView<float> out) {
  const DF d;
  const size_t lanes = hn::Lanes(d), dims = queries.cols(), whole = dims / lanes * lanes;
  const float* query[kTile];
  const uint8_t* row[kTile];
  for (size_t r = 0; r < kTile; ++r) {
    query[r] = queries.row(r);
    row[r] = rows.row(first + r);
  }
  const auto sums = [&](size_t begin, VF(&sum)[kTile][kTile]) HWY_ATTR {
    for (auto& line : sum) {
      for (auto& s : line) s = hn::Zero(d);
    }
    for (size_t i = begin; i < whole; i += 2 * lanes) {
      VF x[kTile];
      for (size_t r = 0; r < kTile; ++r) x[r] = T::load(d, row[r], i);
      for (size_t q = 0; q < kTile; ++q) {
        const VF y = hn::LoadU(d, query[q] + i);
        for (size_t r = 0; r < kTile; ++r) sum[q][r] = hn::MulAdd(y, x[r], sum[q][r]);
      }
    }
  };
  VF even[kTile][kTile], odd[kTile][kTile];
  sums(0, even);
  sums(lanes, odd);
  for (size_t q = 0; q < kTile; ++q) {
    for (size_t r = 0; r < kTile; ++r) {
      const float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(even[q][r], odd[q][r])));
      out(q, first + r) = sum + dot_rest<T>(query[q], row[r], whole, dims);
    }
  }
}

template <class T, class Rows>
HWY_INLINE void dot_line(const float* query, const Rows& rows, size_t begin, size_t end,
                         size_t dims, float* out) {
  size_t i = begin;
  for (; i + kRows <= end; i += kRows) dot_rows_of<T, kRows>(query, rows, i, dims, out + i);
  for (; i < end; ++i) dot_rows_of<T, 1>(query, rows, i, dims, out + i);
}

template <class T>
HWY_INLINE void scan_floats(MatView<const float> queries, const ScanRows& rows,
                            MatView<float> out) {
  with_rows(rows, [&](const auto& in) HWY_ATTR {
    const size_t dims = queries.cols(), tiled = rows.count / kTile * kTile;
    size_t q = 0;
    for (; q + kTile <= queries.rows(); q += kTile) {
      const MatView<float> lines = out.row_range(q, kTile);
      for (size_t i = 0; i < tiled; i += kTile)
        dot_tile<T>(queries.row_range(q, kTile), in, i, lines);
      for (size_t j = 0; j < kTile; ++j)
        dot_line<T>(queries.row(q + j), in, tiled, rows.count, dims, lines.row(j));
    }
    for (; q < queries.rows(); ++q)
      dot_line<T>(queries.row(q), in, 0, rows.count, dims, out.row(q));
  });
}

void floats_f32(MatView<const float> queries, const ScanRows& rows, MatView<float> out) {
  scan_floats<F32>(queries, rows, out);
}
void floats_f16(MatView<const float> queries, const ScanRows& rows, MatView<float> out) {
  scan_floats<F16>(queries, rows, out);
}

template <class T>
HWY_INLINE void squares(size_t dims, const ScanRows& rows, float* out) {
  with_rows(rows, [&](const auto& in) HWY_ATTR {
    for (size_t r = 0; r < rows.count; ++r) {
      const uint8_t* row = in.row(r);
      out[r] = sum_lanes(dims, [&](auto d, size_t i, auto sum) HWY_ATTR {
        const auto x = T::load(d, row, i);
        return hn::MulAdd(x, x, sum);
      });
    }
  });
}
void squares_f32(size_t dims, const ScanRows& rows, float* out) { squares<F32>(dims, rows, out); }
void squares_f16(size_t dims, const ScanRows& rows, float* out) { squares<F16>(dims, rows, out); }

uint64_t sum_bytes(const uint8_t* bytes, size_t size) {
  const hn::CappedTag<uint64_t, 8> d;
  const size_t step = 4 * hn::Lanes(d);
  const auto* words = reinterpret_cast<const uint64_t*>(bytes);
  auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  size_t i = 0;
  for (; i + step <= size / sizeof(uint64_t); i += step) {
    const uint64_t* at = words + i;
    for (size_t line = 0; line < step * sizeof(uint64_t); line += 64)
      hwy::Prefetch(reinterpret_cast<const uint8_t*>(at) + kScanAheadBytes + line);
    sum0 = hn::Add(sum0, hn::LoadU(d, at));
    sum1 = hn::Add(sum1, hn::LoadU(d, at + step / 4));
    sum2 = hn::Add(sum2, hn::LoadU(d, at + step / 2));
    sum3 = hn::Add(sum3, hn::LoadU(d, at + step / 4 * 3));
  }
  uint64_t rest = 0;
  for (size_t b = i * sizeof(uint64_t); b < size; ++b) rest += bytes[b];
  const auto sum = hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
  return rest + hn::GetLane(hn::SumOfLanes(d, sum));
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::kernels {

HWY_EXPORT(floats_f32);
HWY_EXPORT(floats_f16);
HWY_EXPORT(squares_f32);
HWY_EXPORT(squares_f16);
HWY_EXPORT(sum_bytes);

void scan_f32(MatView<const float> queries, const ScanRows& rows, MatView<float> out) {
  HWY_DYNAMIC_DISPATCH(floats_f32)(queries, rows, out);
}
void scan_f16(MatView<const float> queries, const ScanRows& rows, MatView<float> out) {
  AKIN_CHECK(queries.cols() % kScanHalves == 0);
  HWY_DYNAMIC_DISPATCH(floats_f16)(queries, rows, out);
}
void scan_squares_f32(size_t dims, const ScanRows& rows, float* out) {
  HWY_DYNAMIC_DISPATCH(squares_f32)(dims, rows, out);
}
void scan_squares_f16(size_t dims, const ScanRows& rows, float* out) {
  HWY_DYNAMIC_DISPATCH(squares_f16)(dims, rows, out);
}
uint64_t scan_bytes(const uint8_t* bytes, size_t size) {
  return HWY_DYNAMIC_DISPATCH(sum_bytes)(bytes, size);
}

}  // namespace akin::kernels
#endif  // HWY_ONCE
