// Products of bf16 matrices summed in f32 on the AMX tile unit, for training: both sides are
// rounded to bfloat16 as they are packed, from rows or from columns. One part only: see amx_f32.cc
// for products with f32's accuracy.
//
// Tile registers 4 and 5 hold rows, 6 and 7 columns. Rounding is to nearest even.
#include <algorithm>
#include <cstring>

#include "kernels/amx-inl.h"
#include "kernels/amx.h"

namespace akin::kernels {
namespace {

using namespace amx;  // NOLINT(google-build-using-namespace): one product's file

constexpr size_t kDepth = 32;                   // k per tile
constexpr size_t kColumnStep = 2 * kTileBytes;  // of a panel's columns, a k block

size_t depth_blocks(size_t k) { return (k + kDepth - 1) / kDepth; }

}  // namespace

size_t amx_bf16_operand_bytes(size_t rows, size_t k) {
  return round_up(rows, kRowBlock) / kTileRows * depth_blocks(k) * kTileBytes;
}

size_t amx_bf16_panels_bytes(size_t k, size_t n) {
  return round_up(n, kAmxPanelCols) / kAmxPanelCols * depth_blocks(k) * kColumnStep;
}

#ifdef AKIN_HAVE_AMX

namespace {

// 32 floats of a row as 16 pairs of bf16.
AKIN_AMX_TARGET inline __m512i to_pairs(const float* x, size_t left) {
  if (left >= kDepth)
    return (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x));
  const __mmask16 low = lanes_left(left), high = left > 16 ? lanes_left(left - 16) : 0;
  return (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, x + 16),
                                      _mm512_maskz_loadu_ps(low, x));
}

// The 16 columns of two rows as pairs (even row's, odd row's).
AKIN_AMX_TARGET inline __m512i to_column_pairs(const float* even, const float* odd,
                                               __mmask16 lanes) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512 low = _mm512_maskz_loadu_ps(lanes, even);
  const __m512 high = odd == nullptr ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(lanes, odd);
  return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

// out[c][r] = in[r][c], 16 x 16 of 32 bits: pairs of 1, 2, 4, then 8 rows change places.
AKIN_AMX_TARGET inline void transpose(__m512i (&v)[16], uint8_t* out) {
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

// 32 x 32 sums over `blocks` k blocks.
AKIN_AMX_TARGET inline void multiply_blocks(const uint8_t* a0, const uint8_t* a1, const uint8_t* b,
                                            size_t blocks) {
  for (size_t i = 0; i < blocks; ++i) {
    _tile_loadd(4, a0, 64);
    _tile_loadd(6, b, 64);
    _tile_loadd(7, b + kTileBytes, 64);
    _tile_loadd(5, a1, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    a0 += kTileBytes;
    a1 += kTileBytes;
    b += kColumnStep;
  }
}

}  // namespace

AKIN_AMX_TARGET void amx_bf16_set_rows(uint8_t* operand, MatView<const float> x) {
  const size_t blocks = depth_blocks(x.cols());
  for (size_t r = 0; r < x.rows(); ++r) {
    uint8_t* out = operand + r / kTileRows * blocks * kTileBytes + r % kTileRows * kCacheLine;
    const float* row = x.row(r);
    for (size_t i = 0; i < blocks; ++i)
      _mm512_store_si512(out + i * kTileBytes, to_pairs(row + i * kDepth, x.cols() - i * kDepth));
  }
}

AKIN_AMX_TARGET void amx_bf16_set_columns(uint8_t* operand, MatView<const float> x) {
  const size_t depth = x.rows(), blocks = depth_blocks(depth);
  for (size_t i = 0; i < blocks; ++i) {
    for (size_t col = 0; col < x.cols(); col += kTileRows) {
      const __mmask16 lanes = lanes_left(x.cols() - col);
      __m512i pairs[16];
      for (size_t p = 0; p < 16; ++p) {
        const size_t k = i * kDepth + 2 * p;
        pairs[p] = k >= depth
                       ? _mm512_setzero_si512()
                       : to_column_pairs(x.row(k) + col,
                                         k + 1 < depth ? x.row(k + 1) + col : nullptr, lanes);
      }
      transpose(pairs, operand + (col / kTileRows * blocks + i) * kTileBytes);
    }
  }
}

AKIN_AMX_TARGET void amx_bf16_pack_panel(uint8_t* panels, size_t panel,
                                         std::span<const float* const> rows, size_t col,
                                         size_t cols) {
  const size_t blocks = depth_blocks(rows.size());
  uint8_t* out = panels + panel * blocks * kColumnStep;
  const __mmask16 left = lanes_left(cols), right = cols > 16 ? lanes_left(cols - 16) : 0;
  for (size_t k = 0; k < blocks * kDepth; k += 2) {
    uint8_t* to = out + k / kDepth * kColumnStep + k % kDepth / 2 * kCacheLine;
    const float* even = k < rows.size() ? rows[k] + col : nullptr;
    const float* odd = k + 1 < rows.size() ? rows[k + 1] + col : nullptr;
    const __m512i zero = _mm512_setzero_si512();
    _mm512_store_si512(to, even == nullptr ? zero : to_column_pairs(even, odd, left));
    _mm512_store_si512(to + kTileBytes,
                       even == nullptr || right == 0
                           ? zero
                           : to_column_pairs(even + 16, odd == nullptr ? odd : odd + 16, right));
  }
}

AKIN_AMX_TARGET void amx_bf16_pack_panel_transposed(uint8_t* panels, size_t panel,
                                                    std::span<const float* const> columns,
                                                    size_t k) {
  const size_t blocks = depth_blocks(k);
  uint8_t* out = panels + panel * blocks * kColumnStep;
  for (size_t half = 0; half < 2; ++half) {
    for (size_t i = 0; i < blocks; ++i) {
      __m512i pairs[16];
      for (size_t c = 0; c < 16; ++c) {
        const size_t column = half * 16 + c;
        pairs[c] = column < columns.size() ? to_pairs(columns[column] + i * kDepth, k - i * kDepth)
                                           : _mm512_setzero_si512();
      }
      transpose(pairs, out + i * kColumnStep + half * kTileBytes);
    }
  }
}

namespace {

// Up to 32 x 32 of y. A whole block's sums start at the bias or at what y holds, and go straight to
// y; others, and activations, pass through scratch and the epilogue.
AKIN_AMX_TARGET void run_block(const MatmulArgs& args, const Block& block, const uint8_t* a,
                               size_t tile_row, const uint8_t* b, size_t begin, size_t count,
                               bool last, uint8_t* scratch) {
  const bool whole = block.rows == kRowBlock && block.cols == kAmxPanelCols &&
                     args.epilogue.kind != EpilogueKind::activate;
  float* y = args.y + block.row * args.y_stride + block.col;
  const size_t row_bytes = args.y_stride * sizeof(float);
  float* below = y + kTileRows * args.y_stride;
  if (!whole) {
    if (begin == 0) {
      zero_sums();
    } else {
      load_sums(scratch);
    }
  } else if (begin > 0 || args.epilogue.kind == EpilogueKind::add) {
    _tile_loadd(0, y, row_bytes);
    _tile_loadd(1, y + 16, row_bytes);
    _tile_loadd(2, below, row_bytes);
    _tile_loadd(3, below + 16, row_bytes);
  } else {
    const float* bias = args.bias + block.col;  // the same line for every row
    _tile_loadd(0, bias, 0);
    _tile_loadd(1, bias + 16, 0);
    _tile_loadd(2, bias, 0);
    _tile_loadd(3, bias + 16, 0);
  }
  multiply_blocks(a, a + tile_row, b, count);
  if (whole) {
    _tile_stored(0, y, row_bytes);
    _tile_stored(1, y + 16, row_bytes);
    _tile_stored(2, below, row_bytes);
    _tile_stored(3, below + 16, row_bytes);
    return;
  }
  store_sums(scratch);
  if (last) simd_epilogue_f32(args, block, reinterpret_cast<const float*>(scratch), kAmxPanelCols);
}

// y += bias, row by row: what run_block leaves out when it starts from y.
void add_bias(const MatmulArgs& args) {
  const size_t cols = args.n / kAmxPanelCols * kAmxPanelCols;
  const size_t rows = args.row_begin + (args.row_end - args.row_begin) / kRowBlock * kRowBlock;
  if (std::all_of(args.bias, args.bias + cols, [](float b) { return b == 0; })) return;
  for (size_t r = args.row_begin; r < rows; ++r) {
    float* y = args.y + r * args.y_stride;
    for (size_t c = 0; c < cols; ++c) y[c] += args.bias[c];
  }
}

}  // namespace

AKIN_AMX_TARGET void amx_matmul_bf16(const MatmulArgs& args) {
  constexpr size_t kL1Blocks = 14;  // of a panel, 28 KB: they stay in L1 while all rows pass
  const size_t blocks = depth_blocks(args.k), tile_row = blocks * kTileBytes,
               pieces = (blocks + kL1Blocks - 1) / kL1Blocks,
               piece = (blocks + pieces - 1) / pieces,
               row_blocks = (args.row_end - args.row_begin + kRowBlock - 1) / kRowBlock;
  if (args.epilogue.kind == EpilogueKind::add) add_bias(args);
  const TileScope tiles(kTileRows);
  thread_local AlignedArray<uint8_t> scratch;
  scratch.ensure(row_blocks * kBlockBytes);
  for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    const size_t col = panel * kAmxPanelCols, cols = std::min(kAmxPanelCols, args.n - col);
    const uint8_t* b = args.w + panel * blocks * kColumnStep;
    for (size_t begin = 0; begin < blocks; begin += piece) {
      const size_t count = std::min(piece, blocks - begin);
      const uint8_t* next = b + (begin + count) * kColumnStep;
      const size_t share = (count * kColumnStep / kCacheLine + row_blocks - 1) / row_blocks;
      for (size_t r = 0; r < row_blocks; ++r, next += share * kCacheLine) {
        prefetch_far(next, share);
        const size_t row = args.row_begin + r * kRowBlock;
        const uint8_t* a = args.x + row / kTileRows * tile_row + begin * kTileBytes;
        run_block(args, {row, std::min(kRowBlock, args.row_end - row), col, cols}, a, tile_row,
                  b + begin * kColumnStep, begin, count, begin + count == blocks,
                  scratch.data() + r * kBlockBytes);
      }
    }
  }
}

#else

void amx_bf16_set_rows(uint8_t*, MatView<const float>) { AKIN_CHECK(amx_available()); }
void amx_bf16_set_columns(uint8_t*, MatView<const float>) { AKIN_CHECK(amx_available()); }
void amx_bf16_pack_panel(uint8_t*, size_t, std::span<const float* const>, size_t, size_t) {
  AKIN_CHECK(amx_available());
}
void amx_bf16_pack_panel_transposed(uint8_t*, size_t, std::span<const float* const>, size_t) {
  AKIN_CHECK(amx_available());
}
void amx_matmul_bf16(const MatmulArgs&) { AKIN_CHECK(amx_available()); }

#endif

}  // namespace akin::kernels
