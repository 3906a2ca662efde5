// The small products of attention, forward and backward, compiled once per Highway target. Include
// only from files that use foreach_target.h.

#if defined(AKIN_KERNELS_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AKIN_KERNELS_ATTENTION_INL_H_
#undef AKIN_KERNELS_ATTENTION_INL_H_
#else
#define AKIN_KERNELS_ATTENTION_INL_H_
#endif

#include <hwy/highway.h>

#include "kernels/matmul.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
using VF = hn::Vec<DF>;

#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr size_t kRowsMax = 12;
#else
constexpr size_t kRowsMax = 6;
#endif

// c[r, 0..V vectors) (+)= sum_k a[r, k] b[k, ...]: R rows, V vectors in registers. a lies by rows,
// or by columns, a_stride apart.
template <bool kByColumns, size_t R, size_t V>
HWY_INLINE void product_tile(const float* a, size_t a_stride, const float* b, size_t b_stride,
                             size_t depth, bool add, float* c, size_t c_stride) {
  const DF d;
  const size_t lanes = hn::Lanes(d);
  VF acc[R][V];
  for (size_t r = 0; r < R; ++r) {
    for (size_t v = 0; v < V; ++v)
      acc[r][v] = add ? hn::LoadU(d, c + r * c_stride + v * lanes) : hn::Zero(d);
  }
  for (size_t k = 0; k < depth; ++k) {
    VF column[V];
    for (size_t v = 0; v < V; ++v) column[v] = hn::LoadU(d, b + k * b_stride + v * lanes);
    for (size_t r = 0; r < R; ++r) {
      const VF x = hn::Set(d, kByColumns ? a[k * a_stride + r] : a[r * a_stride + k]);
      for (size_t v = 0; v < V; ++v) acc[r][v] = hn::MulAdd(x, column[v], acc[r][v]);
    }
  }
  for (size_t r = 0; r < R; ++r) {
    for (size_t v = 0; v < V; ++v) hn::StoreU(acc[r][v], d, c + r * c_stride + v * lanes);
  }
}

template <bool kByColumns, size_t R, size_t V>
HWY_INLINE void product_rows(size_t rows, const float* a, size_t a_stride, const float* b,
                             size_t b_stride, size_t depth, bool add, float* c, size_t c_stride) {
  if (rows == R) {
    product_tile<kByColumns, R, V>(a, a_stride, b, b_stride, depth, add, c, c_stride);
  } else if constexpr (R > 1) {
    product_rows<kByColumns, R - 1, V>(rows, a, a_stride, b, b_stride, depth, add, c, c_stride);
  }
}

// c [rows, vectors * lanes] (+)= a [rows, depth] b [depth, vectors * lanes].
template <bool kByColumns>
HWY_NOINLINE void product(size_t rows, size_t vectors, const float* a, size_t a_stride,
                          const float* b, size_t b_stride, size_t depth, bool add, float* c,
                          size_t c_stride) {
  const size_t lanes = hn::Lanes(DF());
  for (size_t row = 0; row < rows; row += kRowsMax) {
    const size_t count = HWY_MIN(kRowsMax, rows - row);
    size_t v = 0;
    for (; v + 2 <= vectors; v += 2) {
      product_rows<kByColumns, kRowsMax, 2>(count, a + row * (kByColumns ? 1 : a_stride), a_stride,
                                            b + v * lanes, b_stride, depth, add,
                                            c + row * c_stride + v * lanes, c_stride);
    }
    if (v < vectors) {
      product_rows<kByColumns, kRowsMax, 1>(count, a + row * (kByColumns ? 1 : a_stride), a_stride,
                                            b + v * lanes, b_stride, depth, add,
                                            c + row * c_stride + v * lanes, c_stride);
    }
  }
}

// Columns from one row of the transposed keys to the next: not a power of two, or the rows would
// fall into the same few sets of the cache.
inline size_t key_stride(size_t count) {
  const size_t lanes = hn::Lanes(DF());
  return round_up(count, lanes) + 16;
}

// The transpose of a 4 x 4 block: to[c * to_stride + r] = rows[r][c].
HWY_INLINE void transpose_block(const float* const (&rows)[4], size_t col, float* to,
                                size_t to_stride) {
#if HWY_TARGET == HWY_SCALAR
  for (size_t c = 0; c < 4; ++c) {
    for (size_t r = 0; r < 4; ++r) to[c * to_stride + r] = rows[r][col + c];
  }
#else
  const hn::Full128<float> d;
  const auto a = hn::LoadU(d, rows[0] + col), b = hn::LoadU(d, rows[1] + col),
             c = hn::LoadU(d, rows[2] + col), e = hn::LoadU(d, rows[3] + col);
  const auto ab = hn::InterleaveLower(d, a, b), ce = hn::InterleaveLower(d, c, e),
             ab_upper = hn::InterleaveUpper(d, a, b), ce_upper = hn::InterleaveUpper(d, c, e);
  hn::StoreU(hn::ConcatLowerLower(d, ce, ab), d, to);
  hn::StoreU(hn::ConcatUpperUpper(d, ce, ab), d, to + to_stride);
  hn::StoreU(hn::ConcatLowerLower(d, ce_upper, ab_upper), d, to + 2 * to_stride);
  hn::StoreU(hn::ConcatUpperUpper(d, ce_upper, ab_upper), d, to + 3 * to_stride);
#endif
}

// keys [d, stride] = k^T of `count` keys; the columns behind them, to whole vectors, are finite.
inline void transpose_keys(const float* k, size_t k_stride, size_t count, size_t head_dim,
                           size_t stride, float* keys) {
  for (size_t j = 0; j < count; j += 4) {
    const float* rows[4];
    for (size_t r = 0; r < 4; ++r) rows[r] = k + HWY_MIN(j + r, count - 1) * k_stride;
    size_t c = 0;
    for (; c + 4 <= head_dim; c += 4) transpose_block(rows, c, keys + c * stride + j, stride);
    for (; c < head_dim; ++c) {
      for (size_t r = 0; r < 4; ++r) keys[c * stride + j + r] = rows[r][c];
    }
  }
  const size_t done = round_up(count, 4), padded = round_up(count, hn::Lanes(DF()));
  for (size_t c = 0; done < padded && c < head_dim; ++c)
    std::fill(keys + c * stride + done, keys + c * stride + padded, 0.0F);
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
