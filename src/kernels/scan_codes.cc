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

HWY_INLINE size_t differing_bits(const uint64_t* query, const uint64_t* row, size_t words) {
  const DW d;
  const size_t lanes = hn::Lanes(d);
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

#if HWY_TARGET != HWY_SCALAR
constexpr size_t kWords = HWY_MIN(HWY_MAX_BYTES, 64) / sizeof(uint64_t);  // of a vector
using VW = hn::Vec<DW>;

// kVectors vectors to one, each step adding neighbours: lane i becomes the sum of the i-th kVectors
// lanes.
template <size_t kVectors>
HWY_INLINE VW add_neighbours(VW* v) {
  const DW d;
  for (size_t n = kVectors; n > 1; n /= 2) {
    for (size_t i = 0; i < n / 2; ++i) {
      v[i] = hn::Add(hn::ConcatEven(d, v[2 * i + 1], v[2 * i]),
                     hn::ConcatOdd(d, v[2 * i + 1], v[2 * i]));
    }
  }
  return v[0];
}

HWY_INLINE void store_scores(VW counts, float step, float* out) {
  const hn::Rebind<float, DW> df;
  const hn::Rebind<uint32_t, DW> du;
  const auto bits = hn::BitCast(hn::RebindToSigned<decltype(du)>(), hn::TruncateTo(du, counts));
  const auto share = hn::Mul(hn::Set(df, step), hn::ConvertTo(df, bits));
  hn::StoreU(hn::Sub(hn::Set(df, 1.0F), share), df, out);
}

// As many rows in order as a vector has words, each of kRowWords words, a divisor of that.
template <size_t kRowWords>
HWY_INLINE void packed_rows(const uint64_t* query, const uint64_t* rows, size_t count, float step,
                            float* out) {
  const DW d;
  HWY_ALIGN uint64_t repeated[kWords];
  for (size_t w = 0; w < kWords; ++w) repeated[w] = query[w % kRowWords];
  const VW q = hn::Load(d, repeated);
  for (size_t i = 0; i < count; i += kWords) {
    VW v[kRowWords];
    for (size_t j = 0; j < kRowWords; ++j) {
      const uint64_t* at = rows + i * kRowWords + j * kWords;
      hwy::Prefetch(reinterpret_cast<const uint8_t*>(at) + kScanAheadBytes);
      v[j] = hn::PopulationCount(hn::Xor(hn::LoadU(d, at), q));
    }
    store_scores(add_neighbours<kRowWords>(v), step, out + i);
  }
}

// The first n < kWords words, zeros behind them; nothing behind them is read.
HWY_INLINE VW load_part(const uint64_t* from, size_t n) {
  const DW d;
#if HWY_TARGET <= HWY_AVX2 && HWY_ARCH_X86
  return hn::MaskedLoad(hn::FirstN(d, n), d, from);
#else
  HWY_ALIGN uint64_t buffer[kWords] = {};
  for (size_t w = 0; w < n; ++w) buffer[w] = from[w];
  return hn::Load(d, buffer);
#endif
}

// As many rows as a vector has words, of any length.
template <class Rows>
HWY_INLINE void wide_rows(const uint64_t* query, const Rows& rows, size_t first, size_t words,
                          float step, float* out) {
  const DW d;
  VW v[kWords];
  const size_t whole = words / kWords * kWords, rest = words - whole;
  for (size_t r = 0; r < kWords; ++r) {
    const auto* row = reinterpret_cast<const uint64_t*>(rows.row(first + r));
    const uint8_t* ahead = rows.ahead(first + r);
    v[r] = hn::Zero(d);
    hwy::Prefetch(ahead);
    for (size_t w = 0; w < whole; w += kWords) {
      hwy::Prefetch(ahead + w * sizeof(uint64_t));
      const VW x = hn::Xor(hn::LoadU(d, row + w), hn::LoadU(d, query + w));
      v[r] = hn::Add(v[r], hn::PopulationCount(x));
    }
    if (rest != 0) {
      const VW x = hn::Xor(load_part(row + whole, rest), load_part(query + whole, rest));
      v[r] = hn::Add(v[r], hn::PopulationCount(x));
    }
  }
  store_scores(add_neighbours<kWords>(v), step, out + first);
}

// Returns how many rows it did: a multiple of kWords.
HWY_INLINE size_t many_rows(const uint64_t* query, const RowsInOrder& rows, size_t count,
                            size_t words, float step, float* out) {
  const size_t n = count / kWords * kWords;
  const auto* first = reinterpret_cast<const uint64_t*>(rows.base);
  const bool packed = rows.stride == words * sizeof(uint64_t);
  if (packed && words == 1) {
    packed_rows<1>(query, first, n, step, out);
  } else if (packed && words == 2) {
    packed_rows<2>(query, first, n, step, out);
  } else if (packed && words == 4 && kWords >= 4) {
    packed_rows<HWY_MIN(4, kWords)>(query, first, n, step, out);
  } else if (packed && words == 8 && kWords >= 8) {
    packed_rows<HWY_MIN(8, kWords)>(query, first, n, step, out);
  } else {
    for (size_t i = 0; i < n; i += kWords) wide_rows(query, rows, i, words, step, out);
  }
  return n;
}
HWY_INLINE size_t many_rows(const uint64_t* query, const RowsByNumber& rows, size_t count,
                            size_t words, float step, float* out) {
  const size_t n = count / kWords * kWords;
  for (size_t i = 0; i < n; i += kWords) wide_rows(query, rows, i, words, step, out);
  return n;
}
#else
template <class Rows>
HWY_INLINE size_t many_rows(const uint64_t*, const Rows&, size_t, size_t, float, float*) {
  return 0;
}
#endif

void binary_block(MatView<const uint64_t> queries, size_t dims, const ScanRows& rows,
                  MatView<float> out) {
  const float step = 2.0F / static_cast<float>(dims);
  const size_t words = queries.cols();
  with_rows(rows, [&](const auto& in) HWY_ATTR {
    for (size_t q = 0; q < queries.rows(); ++q) {
      const uint64_t* query = queries.row(q);
      for (size_t i = many_rows(query, in, rows.count, words, step, out.row(q)); i < rows.count;
           ++i) {
        const auto* row = reinterpret_cast<const uint64_t*>(in.row(i));
        out(q, i) = 1.0F - step * static_cast<float>(differing_bits(query, row, words));
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
