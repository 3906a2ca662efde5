// int8 products on the tile unit: symmetric rows and columns, exact 32-bit sums.
//
// Tile registers 4 and 5 hold rows, 6 and 7 columns.
#include <algorithm>

#include "kernels/amx-inl.h"
#include "kernels/amx.h"

namespace akin::kernels {
namespace {

using namespace amx;  // NOLINT(google-build-using-namespace): one product's file

constexpr size_t kDepth = 64;                   // k per tile
constexpr size_t kColumnStep = 2 * kTileBytes;  // of a panel's columns, a k block

size_t depth_blocks(size_t k) { return (k + kDepth - 1) / kDepth; }

}  // namespace

size_t amx_int8_operand_bytes(size_t rows, size_t k) {
  return round_up(rows, kRowBlock) / kTileRows * depth_blocks(k) * kTileBytes;
}

size_t amx_int8_weight_bytes(size_t n, size_t k) {
  return round_up(n, kAmxPanelCols) / kTileRows * depth_blocks(k) * kTileBytes;
}

void amx_int8_set_weight_row(uint8_t* weight, size_t k, size_t column, const int8_t* q) {
  const size_t panel = column / kAmxPanelCols, half = column % kAmxPanelCols / 16,
               lane = column % 16;
  uint8_t* base = weight + panel * depth_blocks(k) * kColumnStep + half * kTileBytes;
  for (size_t i = 0; i < depth_blocks(k) * kDepth; ++i) {
    const size_t block = i / kDepth, quad = i % kDepth / 4;
    base[block * kColumnStep + quad * 64 + lane * 4 + i % 4] =
        static_cast<uint8_t>(i < k ? q[i] : 0);
  }
}

#ifdef AKIN_HAVE_AMX

namespace {

// Up to 16 rows x 64 columns: one row tile against two panels, so that four sums hide the tile
// unit's latency.
AKIN_AMX_TARGET void multiply_few(const uint8_t* a, const uint8_t* left, const uint8_t* right,
                                  size_t blocks) {
  for (size_t i = 0; i < blocks; ++i) {
    for (size_t at = 2 * kColumnStep; at < 3 * kColumnStep; at += kCacheLine) {
      _mm_prefetch(left + at, _MM_HINT_T0);
      _mm_prefetch(right + at, _MM_HINT_T0);
    }
    _tile_loadd(4, a, 64);
    _tile_loadd(7, left, 64);
    _tile_dpbssd(0, 4, 7);
    _tile_loadd(7, left + kTileBytes, 64);
    _tile_dpbssd(1, 4, 7);
    _tile_loadd(7, right, 64);
    _tile_dpbssd(2, 4, 7);
    _tile_loadd(7, right + kTileBytes, 64);
    _tile_dpbssd(3, 4, 7);
    a += kTileBytes;
    left += kColumnStep;
    right += kColumnStep;
  }
}

AKIN_AMX_TARGET void matmul_few_rows(const MatmulArgs& args, size_t blocks) {
  constexpr size_t kCols = 2 * kAmxPanelCols;
  const size_t rows = args.row_end - args.row_begin;
  const TileScope tiles(rows);
  alignas(64) int32_t sums[kTileRows * kCols];
  const uint8_t* a = args.x + args.row_begin / kTileRows * blocks * kTileBytes;
  for (size_t panel = args.panel_begin; panel < args.panel_end; panel += 2) {
    const uint8_t* left = args.w + panel * blocks * kColumnStep;
    // A last panel without a neighbour is multiplied twice.
    const uint8_t* right = panel + 1 < args.panel_end ? left + blocks * kColumnStep : left;
    zero_sums();
    multiply_few(a, left, right, blocks);
    _tile_stored(0, sums, kCols * 4);
    _tile_stored(1, sums + 16, kCols * 4);
    _tile_stored(2, sums + 32, kCols * 4);
    _tile_stored(3, sums + 48, kCols * 4);
    const size_t col = panel * kAmxPanelCols,
                 end = std::min(args.n, std::min(panel + 2, args.panel_end) * kAmxPanelCols);
    simd_epilogue_int32(args, {args.row_begin, rows, col, end - col}, sums, kCols);
  }
}

// 32 x 32 sums; on the way it asks for `next_lines` cache lines a block of the next panel.
AKIN_AMX_TARGET void multiply_blocks(const uint8_t* a0, const uint8_t* a1, const uint8_t* b,
                                     size_t blocks, const uint8_t* next, size_t next_lines) {
  for (size_t i = 0; i < blocks; ++i) {
    prefetch_far(next, next_lines);
    next += next_lines * kCacheLine;
    _tile_loadd(4, a0, 64);
    _tile_loadd(5, a1, 64);
    _tile_loadd(6, b, 64);
    _tile_loadd(7, b + kTileBytes, 64);
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
    a0 += kTileBytes;
    a1 += kTileBytes;
    b += kColumnStep;
  }
}

}  // namespace

// The same rounding as quantize_row: one product with 127 / max, then to nearest even.
AKIN_AMX_TARGET float amx_int8_set_row(uint8_t* operand, size_t k, size_t row, const float* x) {
  const size_t blocks = depth_blocks(k);
  uint8_t* out = operand + row / kTileRows * blocks * kTileBytes + row % kTileRows * 64;
  __m512 largest = _mm512_setzero_ps(), second = _mm512_setzero_ps();
  size_t i = 0;
  for (; i + 32 <= k; i += 32) {
    largest = _mm512_max_ps(largest, _mm512_abs_ps(_mm512_loadu_ps(x + i)));
    second = _mm512_max_ps(second, _mm512_abs_ps(_mm512_loadu_ps(x + i + 16)));
  }
  for (; i < k; i += 16) {
    largest =
        _mm512_max_ps(largest, _mm512_abs_ps(_mm512_maskz_loadu_ps(lanes_left(k - i), x + i)));
  }
  const float max = _mm512_reduce_max_ps(_mm512_max_ps(largest, second));
  const bool usable = max > 0.0F && max < 3.0e38F;
  const __m512 inverse = _mm512_set1_ps(usable ? 127.0F / max : 0.0F);
  for (i = 0; i < blocks * kDepth; i += 16) {
    const __m512 v = _mm512_maskz_loadu_ps(i < k ? lanes_left(k - i) : 0, x + i);
    const __m512i q =
        usable ? _mm512_cvtps_epi32(_mm512_mul_ps(v, inverse)) : _mm512_setzero_si512();
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i / kDepth * kTileBytes + i % kDepth),
                     _mm512_cvtsepi32_epi8(q));
  }
  return usable ? max / 127.0F : 0.0F;
}

AKIN_AMX_TARGET void amx_matmul_int8(const MatmulArgs& args) {
  const size_t blocks = depth_blocks(args.k), tile_row = blocks * kTileBytes;
  if (args.row_end - args.row_begin <= kTileRows) {
    matmul_few_rows(args, blocks);
    return;
  }
  const TileScope tiles(kTileRows);
  const size_t row_blocks = (args.row_end - args.row_begin + kRowBlock - 1) / kRowBlock;
  // Each row block brings in its share of the next panel.
  const size_t lines = kColumnStep / kCacheLine / row_blocks;
  alignas(64) int32_t sums[kRowBlock * kAmxPanelCols];
  for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    const uint8_t* b = args.w + panel * blocks * kColumnStep;
    const uint8_t* next = b + blocks * kColumnStep;
    const size_t col = panel * kAmxPanelCols, cols = std::min(kAmxPanelCols, args.n - col);
    for (size_t row = args.row_begin; row < args.row_end; row += kRowBlock) {
      const uint8_t* a = args.x + row / kTileRows * tile_row;
      zero_sums();
      multiply_blocks(a, a + tile_row, b, blocks, next, lines);
      next += blocks * lines * kCacheLine;
      store_sums(reinterpret_cast<uint8_t*>(sums));
      simd_epilogue_int32(args, {row, std::min(kRowBlock, args.row_end - row), col, cols}, sums,
                          kAmxPanelCols);
    }
  }
}

#else

float amx_int8_set_row(uint8_t*, size_t, size_t, const float*) {
  AKIN_CHECK(amx_available());
  return 0;
}
void amx_matmul_int8(const MatmulArgs&) { AKIN_CHECK(amx_available()); }

#endif

}  // namespace akin::kernels
