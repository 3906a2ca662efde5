// Both sides of a bf16 product, rounded to bfloat16 (nearest even) as they are packed, from rows or
// from columns.
#include <algorithm>
#include <cstring>

#include "kernels/bf16.h"
#include "kernels/x86-inl.h"

#ifdef AKIN_HAVE_AVX512_BF16
#include <cpuid.h>
#endif

namespace akin::kernels {
using x86::kCacheLine;

size_t bf16_operand_bytes(size_t rows, size_t k) {
  return round_up(rows, kRowBlock) / kBf16BlockRows * bf16_depth_blocks(k) * kBf16RowsBytes;
}

size_t bf16_panels_bytes(size_t k, size_t n) {
  return round_up(n, kBf16PanelCols) / kBf16PanelCols * bf16_depth_blocks(k) * kBf16ColumnsBytes;
}

#ifdef AKIN_HAVE_AVX512_BF16

bool avx512_bf16_available() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBf16 = 1U << 5;
  return __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 &&
         (a & kBf16) != 0;
}

bool avx512_bf16_fast() { return avx512_bf16_available() && __builtin_cpu_is("amd") != 0; }

namespace {

using x86::lanes_left;

// 32 floats of a row as 16 pairs of bf16.
AKIN_BF16_TARGET inline __m512i to_pairs(const float* x, size_t left) {
  if (left >= kBf16Depth)
    return (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x));
  const __mmask16 low = lanes_left(left), high = left > 16 ? lanes_left(left - 16) : 0;
  return (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, x + 16),
                                      _mm512_maskz_loadu_ps(low, x));
}

// The 16 columns of two rows as pairs (even row's, odd row's).
AKIN_BF16_TARGET inline __m512i to_column_pairs(const float* even, const float* odd,
                                                __mmask16 lanes) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512 low = _mm512_maskz_loadu_ps(lanes, even);
  const __m512 high = odd == nullptr ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(lanes, odd);
  return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

// out[c][r] = in[r][c], 16 x 16 of 32 bits: pairs of 1, 2, 4, then 8 rows change places.
AKIN_BF16_TARGET inline void transpose(__m512i (&v)[16], uint8_t* out) {
  __m512i t[16];
  for (size_t i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (size_t i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // v[4 g + c] holds columns c, c + 4, c + 8, c + 12 of rows 4 g .. 4 g + 3.
  for (size_t c = 0; c < 4; ++c) {
    const __m512i low01 = _mm512_shuffle_i32x4(v[c], v[4 + c], 0x88),
                  high01 = _mm512_shuffle_i32x4(v[c], v[4 + c], 0xDD),
                  low23 = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0x88),
                  high23 = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0xDD);
    _mm512_store_si512(out + c * 64, _mm512_shuffle_i32x4(low01, low23, 0x88));
    _mm512_store_si512(out + (c + 4) * 64, _mm512_shuffle_i32x4(high01, high23, 0x88));
    _mm512_store_si512(out + (c + 8) * 64, _mm512_shuffle_i32x4(low01, low23, 0xDD));
    _mm512_store_si512(out + (c + 12) * 64, _mm512_shuffle_i32x4(high01, high23, 0xDD));
  }
}

}  // namespace

AKIN_BF16_TARGET void bf16_set_rows(uint8_t* operand, MatView<const float> x) {
  const size_t blocks = bf16_depth_blocks(x.cols());
  for (size_t r = 0; r < x.rows(); ++r) {
    uint8_t* out =
        operand + r / kBf16BlockRows * blocks * kBf16RowsBytes + r % kBf16BlockRows * kCacheLine;
    const float* row = x.row(r);
    for (size_t i = 0; i < blocks; ++i)
      _mm512_store_si512(out + i * kBf16RowsBytes,
                         to_pairs(row + i * kBf16Depth, x.cols() - i * kBf16Depth));
  }
}

AKIN_BF16_TARGET void bf16_set_columns(uint8_t* operand, MatView<const float> x) {
  const size_t depth = x.rows(), blocks = bf16_depth_blocks(depth);
  for (size_t i = 0; i < blocks; ++i) {
    for (size_t col = 0; col < x.cols(); col += kBf16BlockRows) {
      const __mmask16 lanes = lanes_left(x.cols() - col);
      __m512i pairs[16];
      for (size_t p = 0; p < 16; ++p) {
        const size_t k = i * kBf16Depth + 2 * p;
        pairs[p] = k >= depth
                       ? _mm512_setzero_si512()
                       : to_column_pairs(x.row(k) + col,
                                         k + 1 < depth ? x.row(k + 1) + col : nullptr, lanes);
      }
      transpose(pairs, operand + (col / kBf16BlockRows * blocks + i) * kBf16RowsBytes);
    }
  }
}

AKIN_BF16_TARGET void bf16_pack_panel(uint8_t* panels, size_t panel,
                                      std::span<const float* const> rows, size_t col, size_t cols) {
  const size_t blocks = bf16_depth_blocks(rows.size());
  uint8_t* out = panels + panel * blocks * kBf16ColumnsBytes;
  const __mmask16 left = lanes_left(cols), right = cols > 16 ? lanes_left(cols - 16) : 0;
  for (size_t k = 0; k < blocks * kBf16Depth; k += 2) {
    uint8_t* to = out + k / kBf16Depth * kBf16ColumnsBytes + k % kBf16Depth / 2 * kCacheLine;
    const float* even = k < rows.size() ? rows[k] + col : nullptr;
    const float* odd = k + 1 < rows.size() ? rows[k + 1] + col : nullptr;
    const __m512i zero = _mm512_setzero_si512();
    _mm512_store_si512(to, even == nullptr ? zero : to_column_pairs(even, odd, left));
    _mm512_store_si512(to + kBf16RowsBytes,
                       even == nullptr || right == 0
                           ? zero
                           : to_column_pairs(even + 16, odd == nullptr ? odd : odd + 16, right));
  }
}

AKIN_BF16_TARGET void bf16_pack_panel_transposed(uint8_t* panels, size_t panel,
                                                 std::span<const float* const> columns, size_t k) {
  const size_t blocks = bf16_depth_blocks(k);
  uint8_t* out = panels + panel * blocks * kBf16ColumnsBytes;
  for (size_t half = 0; half < 2; ++half) {
    for (size_t i = 0; i < blocks; ++i) {
      __m512i pairs[16];
      for (size_t c = 0; c < 16; ++c) {
        const size_t column = half * 16 + c;
        pairs[c] = column < columns.size()
                       ? to_pairs(columns[column] + i * kBf16Depth, k - i * kBf16Depth)
                       : _mm512_setzero_si512();
      }
      transpose(pairs, out + i * kBf16ColumnsBytes + half * kBf16RowsBytes);
    }
  }
}

#else

bool avx512_bf16_available() { return false; }
bool avx512_bf16_fast() { return false; }
void bf16_set_rows(uint8_t*, MatView<const float>) { AKIN_CHECK(false); }
void bf16_set_columns(uint8_t*, MatView<const float>) { AKIN_CHECK(false); }
void bf16_pack_panel(uint8_t*, size_t, std::span<const float* const>, size_t, size_t) {
  AKIN_CHECK(false);
}
void bf16_pack_panel_transposed(uint8_t*, size_t, std::span<const float* const>, size_t) {
  AKIN_CHECK(false);
}

#endif

}  // namespace akin::kernels
