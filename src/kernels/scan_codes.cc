// int8 and binary codes of scan.h: VNNI or 16-bit multiply-adds, and counts of differing bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/scan_codes.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/scan.h"
#include "kernels/scan_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using DI = hn::CappedTag<int32_t, 16>;
using VI = hn::Vec<DI>;
using DW = hn::CappedTag<uint64_t, 8>;

constexpr size_t kRows = 4;

// ---- int8. Queries are read from a copy whose last vector is pushed to the end of its cell, zeros
// before it, because a row's last vector is the one that ends where the row ends.

#if HWY_TARGET == HWY_AVX3_DL && HWY_ARCH_X86
// Bytes of row and query a step takes. Rows become unsigned by + 128; 128 * sum of the query comes
// off the sum at the end.
constexpr size_t kStep = 64;
constexpr int32_t kOffset = 128;
HWY_INLINE VI multiply_add(VI sum, const uint8_t* row, const int8_t* query) {
  const hn::CappedTag<uint8_t, 64> d8;
  const auto x = hn::Xor(hn::LoadU(d8, row), hn::Set(d8, 0x80));
  const auto y = hn::Load(d8, reinterpret_cast<const uint8_t*>(query));
  // By hand: Highway 1.0.3 switches this target on without naming AVX512-VNNI to the compiler.
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(x.raw), "v"(y.raw));
  return sum;
}
#elif HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
constexpr size_t kStep = 8;
constexpr int32_t kOffset = 0;
HWY_INLINE VI multiply_add(VI sum, const uint8_t* row, const int8_t* query) {
  int32_t products = 0;
  for (size_t i = 0; i < kStep; ++i) products += static_cast<int8_t>(row[i]) * query[i];
  HWY_ALIGN int32_t lanes[16] = {products};
  return hn::Add(sum, hn::Load(DI(), lanes));
}
#else
constexpr size_t kStep = sizeof(int16_t) * HWY_MIN(HWY_MAX_BYTES, 64) / 4;
constexpr int32_t kOffset = 0;
HWY_INLINE VI multiply_add(VI sum, const uint8_t* row, const int8_t* query) {
  const DI d;
  const hn::Repartition<int16_t, DI> d16;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  const auto x = hn::PromoteTo(d16, hn::LoadU(d8, reinterpret_cast<const int8_t*>(row)));
  const auto y = hn::PromoteTo(d16, hn::LoadU(d8, query));
  VI high = hn::Zero(d);
  sum = hn::ReorderWidenMulAccumulate(d, x, y, sum, high);
  return hn::Add(sum, high);
}
#endif

constexpr size_t kCells = 4096 / 64;  // queries up to 4,032 dims are copied to the stack

template <size_t R, class Rows>
HWY_INLINE void int8_rows(const int8_t* query, int32_t start, float scale, const Rows& rows,
                          size_t first, size_t dims, float* out) {
  const DI d;
  VI sum[R];
  const uint8_t *row[R], *ahead[R];
  for (size_t r = 0; r < R; ++r) {
    sum[r] = hn::Zero(d);
    row[r] = rows.row(first + r);
    ahead[r] = rows.ahead(first + r);
  }
  size_t i = 0;
  for (; i + kStep <= dims; i += kStep) {
    for (size_t r = 0; r < R; ++r) {
      hwy::Prefetch(ahead[r] + i);
      sum[r] = multiply_add(sum[r], row[r] + kScanScaleBytes + i, query + i);
    }
  }
  if (i < dims) {
    for (size_t r = 0; r < R; ++r) {
      hwy::Prefetch(ahead[r] + i);
      sum[r] = multiply_add(sum[r], row[r] + kScanScaleBytes + dims - kStep, query + i);
    }
  }
  for (size_t r = 0; r < R; ++r) {
    float row_scale;
    __builtin_memcpy(&row_scale, row[r], sizeof row_scale);
    const int32_t total = hn::GetLane(hn::SumOfLanes(d, sum[r])) - start;
    out[r] = static_cast<float>(total) * (scale * row_scale);
  }
}

void int8_block(MatView<const int8_t> queries, const float* query_scales, const ScanRows& rows,
                MatView<float> out) {
  const size_t dims = queries.cols(), whole = dims / kStep * kStep, rest = dims - whole;
  alignas(64) int8_t stack[kCells * 64];
  AlignedArray<int8_t> heap;
  if (whole + kStep > sizeof stack) heap.reset(whole + kStep);
  int8_t* const copy = whole + kStep > sizeof stack ? heap.data() : stack;
  with_rows(rows, [&](const auto& in) HWY_ATTR {
    for (size_t q = 0; q < queries.rows(); ++q) {
      const int8_t* query = queries.row(q);
      std::copy_n(query, whole, copy);
      std::fill_n(copy + whole, kStep - rest, int8_t{0});
      std::copy_n(query + whole, rest, copy + whole + kStep - rest);
      int32_t start = 0;
      for (size_t i = 0; i < dims; ++i) start += kOffset * query[i];
      float* line = out.row(q);
      size_t i = 0;
      for (; i + kRows <= rows.count; i += kRows)
        int8_rows<kRows>(copy, start, query_scales[q], in, i, dims, line + i);
      for (; i < rows.count; ++i) int8_rows<1>(copy, start, query_scales[q], in, i, dims, line + i);
    }
  });
}

// ---- binary

template <class Rows>
HWY_INLINE size_t differing_bits(const uint64_t* query, const Rows& rows, size_t i, size_t words) {
  const DW d;
  const size_t lanes = hn::Lanes(d);
  const auto* row = reinterpret_cast<const uint64_t*>(rows.row(i));
  hwy::Prefetch(rows.ahead(i));
  auto sum = hn::Zero(d);
  size_t w = 0;
  for (; w + lanes <= words; w += lanes) {
    const auto x = hn::Xor(hn::LoadU(d, row + w), hn::LoadU(d, query + w));
    sum = hn::Add(sum, hn::PopulationCount(x));
  }
  size_t count = w == 0 ? 0 : hn::GetLane(hn::SumOfLanes(d, sum));
  const hn::CappedTag<uint64_t, 1> one;
  for (; w < words; ++w) {
    const auto x = hn::Xor(hn::LoadU(one, row + w), hn::LoadU(one, query + w));
    count += hn::GetLane(hn::PopulationCount(x));
  }
  return count;
}

void binary_block(MatView<const uint64_t> queries, size_t dims, const ScanRows& rows,
                  MatView<float> out) {
  const float step = 2.0F / static_cast<float>(dims);
  with_rows(rows, [&](const auto& in) HWY_ATTR {
    for (size_t q = 0; q < queries.rows(); ++q) {
      for (size_t i = 0; i < rows.count; ++i) {
        const size_t bits = differing_bits(queries.row(q), in, i, queries.cols());
        out(q, i) = 1.0F - step * static_cast<float>(bits);
      }
    }
  });
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::kernels {

HWY_EXPORT(int8_block);
HWY_EXPORT(binary_block);

void scan_int8(MatView<const int8_t> queries, const float* query_scales, const ScanRows& rows,
               MatView<float> out) {
  HWY_DYNAMIC_DISPATCH(int8_block)(queries, query_scales, rows, out);
}
void scan_binary(MatView<const uint64_t> queries, size_t dims, const ScanRows& rows,
                 MatView<float> out) {
  HWY_DYNAMIC_DISPATCH(binary_block)(queries, dims, rows, out);
}

}  // namespace akin::kernels
#endif  // HWY_ONCE
