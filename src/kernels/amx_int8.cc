// int8 products on the tile unit: symmetric rows and columns, exact 32-bit sums.
//
// Tile registers 4 and 5 hold rows, 6 and 7 columns.
#include <algorithm>

#include "kernels/amx-inl.h"
#include "kernels/amx.h"

namespace akin::kernels {
namespace {

constexpr size_t kDepth = 64;   // k per tile
constexpr size_t kTile = 1024;  // bytes

size_t depth_blocks(size_t k) { return (k + kDepth - 1) / kDepth; }

}  // namespace

size_t amx_int8_operand_bytes(size_t rows, size_t k) {
  return round_up(rows, kRowBlock) / 16 * depth_blocks(k) * kTile;
}

size_t amx_int8_weight_bytes(size_t n, size_t k) {
  return round_up(n, kAmxPanelCols) / 16 * depth_blocks(k) * kTile;
}

void amx_int8_set_weight_row(uint8_t* weight, size_t k, size_t column, const int8_t* q) {
  const size_t panel = column / kAmxPanelCols, half = column % kAmxPanelCols / 16,
               lane = column % 16;
  uint8_t* base = weight + panel * depth_blocks(k) * 2 * kTile + half * kTile;
  for (size_t i = 0; i < depth_blocks(k) * kDepth; ++i) {
    const size_t block = i / kDepth, quad = i % kDepth / 4;
    base[block * 2 * kTile + quad * 64 + lane * 4 + i % 4] = static_cast<uint8_t>(i < k ? q[i] : 0);
  }
}

#ifdef AKIN_HAVE_AMX

namespace {

using namespace amx;  // NOLINT(google-build-using-namespace): one product's file

AKIN_AMX_TARGET void wide_block_int8(const uint8_t* a, const uint8_t* left, const uint8_t* right,
                                     size_t blocks) {
  constexpr size_t kStep = 2 * kTileBytes;
  for (size_t i = 0; i < blocks; ++i) {
    prefetch(left + 2 * kStep, kStep);
    prefetch(right + 2 * kStep, kStep);
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
    left += kStep;
    right += kStep;
  }
}

AKIN_AMX_TARGET void block_int8(const uint8_t* a0, const uint8_t* a1, const uint8_t* b,
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
    b += 2 * kTileBytes;
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
  const size_t blocks = depth_blocks(args.k);
  const size_t tile_row = blocks * kTileBytes;
  if (args.row_end - args.row_begin <= kTileRows) {
    matmul_few_rows<int32_t>(
        args, 2 * tile_row, tile_row,
        [blocks](const uint8_t* a, const uint8_t* left, const uint8_t* right) {
          wide_block_int8(a, left, right, blocks);
        },
        [&args](const Block& block, const int32_t* sums) {
          simd_epilogue_int32(args, block, sums, 2 * kAmxPanelCols);
        });
    return;
  }
  const TileScope tiles(kTileRows);
  const size_t row_blocks = (args.row_end - args.row_begin + kRowBlock - 1) / kRowBlock;
  alignas(64) int32_t sums[kRowBlock * kAmxPanelCols];
  for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    const uint8_t* b = args.w + panel * 2 * tile_row;
    const size_t col = panel * kAmxPanelCols, cols = std::min(kAmxPanelCols, args.n - col);
    for (size_t row = args.row_begin; row < args.row_end; row += kRowBlock) {
      const uint8_t* a = args.x + row / kTileRows * tile_row;
      zero_sums();
      const size_t r = (row - args.row_begin) / kRowBlock;
      const size_t lines =
          2 * kTileBytes / kCacheLine / row_blocks;  // a k block, of the next panel
      block_int8(a, a + tile_row, b, blocks, b + 2 * tile_row + r * blocks * lines * kCacheLine,
                 lines);
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
