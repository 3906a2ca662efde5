// f32 products on the bf16 tile unit. Each f32 is the sum of three bf16 parts, x = x1 + x2 + x3;
// six of the nine partial products are summed, what is dropped is below 2^-24 relative. Weights are
// split when they are packed: splitting them as they pass saves a third of their memory, and was
// measured to cost a sixth of the speed.
//
// Tile registers 4 and 5 hold rows, 6 and 7 columns; with few rows, 4..6 the parts of one row tile.
#include <algorithm>
#include <cstring>

#include "kernels/amx-inl.h"
#include "kernels/amx.h"

namespace akin::kernels {
namespace {

constexpr size_t kParts = 3;
constexpr size_t kDepth = 32;                      // k per tile
constexpr size_t kRowStep = kParts * 1024;         // bytes of a row tile's parts, a k block
constexpr size_t kColumnStep = 2 * kParts * 1024;  // of a panel's, a k block

size_t depth_blocks(size_t k) { return (k + kDepth - 1) / kDepth; }

}  // namespace

size_t amx_f32_operand_bytes(size_t rows, size_t k) {
  return round_up(rows, kRowBlock) / 16 * depth_blocks(k) * kRowStep;
}

size_t amx_f32_weight_bytes(size_t n, size_t k) {
  return round_up(n, kAmxPanelCols) / kAmxPanelCols * depth_blocks(k) * kColumnStep;
}

#if AKIN_HAVE_AMX

namespace {

using namespace amx;  // NOLINT(google-build-using-namespace): one product's file

// 32 floats into three rows of 32 bf16 at out, out + step, out + 2 * step.
AKIN_AMX_TARGET inline void split(__m512 low, __m512 high, uint8_t* out, size_t step) {
  for (size_t part = 0; part < kParts; ++part) {
    const auto pieces = (__m512i)_mm512_cvtne2ps_pbh(high, low);
    _mm512_store_si512(out + part * step, pieces);
    if (part + 1 == kParts) break;
    low = _mm512_sub_ps(low, _mm512_castsi512_ps(_mm512_slli_epi32(
                                 _mm512_cvtepu16_epi32(_mm512_castsi512_si256(pieces)), 16)));
    high =
        _mm512_sub_ps(high, _mm512_castsi512_ps(_mm512_slli_epi32(
                                _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(pieces, 1)), 16)));
  }
}

AKIN_AMX_TARGET inline void load_rows(const uint8_t* first, const uint8_t* second) {
  _tile_loadd(4, first, 64);
  _tile_loadd(5, second, 64);
}
AKIN_AMX_TARGET inline void load_columns(const uint8_t* tiles) {
  _tile_loadd(6, tiles, 64);
  _tile_loadd(7, tiles + kTileBytes, 64);
}
AKIN_AMX_TARGET inline void multiply() {
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

// 32 x 32 sums over `blocks` k blocks: parts in rising order of size, so that small terms are not
// lost.
AKIN_AMX_TARGET void multiply_blocks(const uint8_t* a0, const uint8_t* a1, const uint8_t* columns,
                                     size_t blocks) {
  for (size_t i = 0; i < blocks; ++i) {
    load_rows(a0, a1);
    load_columns(columns + 4 * kTileBytes);
    multiply();  // x1 w3
    load_columns(columns + 2 * kTileBytes);
    multiply();  // x1 w2
    load_rows(a0 + kTileBytes, a1 + kTileBytes);
    multiply();  // x2 w2
    load_columns(columns);
    multiply();  // x2 w1
    load_rows(a0 + 2 * kTileBytes, a1 + 2 * kTileBytes);
    multiply();  // x3 w1
    load_rows(a0, a1);
    multiply();  // x1 w1
    a0 += kRowStep;
    a1 += kRowStep;
    columns += kColumnStep;
  }
}

// Sums of row block r over `count` k blocks from `begin`, onto those of the blocks before.
AKIN_AMX_TARGET inline void multiply_row_block(const MatmulArgs& args, size_t r, size_t begin,
                                               size_t count, size_t tile_row,
                                               const uint8_t* columns, uint8_t* sums) {
  const uint8_t* a = args.x + (args.row_begin / kTileRows + 2 * r) * tile_row + begin * kRowStep;
  if (begin == 0) {
    zero_sums();
  } else {
    load_sums(sums);
  }
  multiply_blocks(a, a + tile_row, columns, count);
  store_sums(sums);
}

// Up to 16 rows x 64 columns, one k block of two panels: the same products in the same order, so
// the same sums.
AKIN_AMX_TARGET inline void multiply_few(const uint8_t* a, const uint8_t* left,
                                         const uint8_t* right) {
  constexpr size_t kNext = kTileBytes, kSecond = 2 * kTileBytes, kThird = 4 * kTileBytes;
  _tile_loadd(4, a, 64);
  _tile_loadd(5, a + kTileBytes, 64);
  _tile_loadd(6, a + 2 * kTileBytes, 64);
  _tile_loadd(7, left + kThird, 64);
  _tile_dpbf16ps(0, 4, 7);
  _tile_loadd(7, left + kThird + kNext, 64);
  _tile_dpbf16ps(1, 4, 7);
  _tile_loadd(7, right + kThird, 64);
  _tile_dpbf16ps(2, 4, 7);
  _tile_loadd(7, right + kThird + kNext, 64);
  _tile_dpbf16ps(3, 4, 7);
  _tile_loadd(7, left + kSecond, 64);
  _tile_dpbf16ps(0, 4, 7);
  _tile_dpbf16ps(0, 5, 7);
  _tile_loadd(7, left + kSecond + kNext, 64);
  _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(1, 5, 7);
  _tile_loadd(7, right + kSecond, 64);
  _tile_dpbf16ps(2, 4, 7);
  _tile_dpbf16ps(2, 5, 7);
  _tile_loadd(7, right + kSecond + kNext, 64);
  _tile_dpbf16ps(3, 4, 7);
  _tile_dpbf16ps(3, 5, 7);
  _tile_loadd(7, left, 64);
  _tile_dpbf16ps(0, 5, 7);
  _tile_dpbf16ps(0, 6, 7);
  _tile_dpbf16ps(0, 4, 7);
  _tile_loadd(7, left + kNext, 64);
  _tile_dpbf16ps(1, 5, 7);
  _tile_dpbf16ps(1, 6, 7);
  _tile_dpbf16ps(1, 4, 7);
  _tile_loadd(7, right, 64);
  _tile_dpbf16ps(2, 5, 7);
  _tile_dpbf16ps(2, 6, 7);
  _tile_dpbf16ps(2, 4, 7);
  _tile_loadd(7, right + kNext, 64);
  _tile_dpbf16ps(3, 5, 7);
  _tile_dpbf16ps(3, 6, 7);
  _tile_dpbf16ps(3, 4, 7);
}

AKIN_AMX_TARGET void multiply_few_blocks(const uint8_t* a, const uint8_t* left,
                                         const uint8_t* right, size_t blocks) {
  for (size_t i = 0; i < blocks; ++i) {
    prefetch(left + 2 * kColumnStep, kColumnStep);
    prefetch(right + 2 * kColumnStep, kColumnStep);
    multiply_few(a, left, right);
    a += kRowStep;
    left += kColumnStep;
    right += kColumnStep;
  }
}

}  // namespace

AKIN_AMX_TARGET void amx_f32_set_row(uint8_t* operand, size_t k, size_t row, const float* x) {
  const size_t blocks = depth_blocks(k);
  uint8_t* out = operand + row / kTileRows * blocks * kRowStep + row % kTileRows * kCacheLine;
  for (size_t i = 0; i < blocks * kDepth; i += kDepth, out += kRowStep) {
    const __mmask16 low = lanes_left(k - i), high = k - i > 16 ? lanes_left(k - i - 16) : 0;
    split(_mm512_maskz_loadu_ps(low, x + i), _mm512_maskz_loadu_ps(high, x + i + 16), out,
          kTileBytes);
  }
}

AKIN_AMX_TARGET void amx_f32_set_weight_row(uint8_t* weight, size_t k, size_t column,
                                            const float* w) {
  const size_t panel = column / kAmxPanelCols, half = column % kAmxPanelCols / 16,
               lane = column % 16;
  uint8_t* to = weight + panel * depth_blocks(k) * kColumnStep + half * kTileBytes + lane * 4;
  alignas(64) uint32_t pairs[kParts][16];
  for (size_t i = 0; i < k; i += kDepth, to += kColumnStep) {
    const __mmask16 low = lanes_left(k - i), high = k - i > 16 ? lanes_left(k - i - 16) : 0;
    split(_mm512_maskz_loadu_ps(low, w + i), _mm512_maskz_loadu_ps(high, w + i + 16),
          reinterpret_cast<uint8_t*>(pairs), sizeof pairs[0]);
    for (size_t part = 0; part < kParts; ++part) {
      for (size_t pair = 0; pair < 16; ++pair)
        std::memcpy(to + part * 2 * kTileBytes + pair * kCacheLine, &pairs[part][pair], 4);
    }
  }
}

AKIN_AMX_TARGET void amx_matmul_f32(const MatmulArgs& args) {
  // K in pieces whose row tiles of all rows stay in L2, and within them in pieces whose column
  // tiles stay in L1 while all rows pass. Sums wait in memory between pieces, unrounded.
  constexpr size_t kL2Bytes = size_t{1280} << 10, kL1Blocks = 4;
  const size_t blocks = depth_blocks(args.k), tile_row = blocks * kRowStep,
               panel_bytes = blocks * kColumnStep, rows = args.row_end - args.row_begin;
  if (rows <= kTileRows) {
    matmul_few_rows<float>(
        args, panel_bytes, tile_row,
        [blocks](const uint8_t* a, const uint8_t* left, const uint8_t* right) {
          multiply_few_blocks(a, left, right, blocks);
        },
        [&args](const Block& block, const float* sums) {
          simd_epilogue_f32(args, block, sums, 2 * kAmxPanelCols);
        });
    return;
  }
  const TileScope tiles(kTileRows);
  thread_local AlignedArray<uint8_t> scratch;
  const size_t row_blocks = (rows + kRowBlock - 1) / kRowBlock;
  const size_t outer =
      std::max(kL1Blocks, kL2Bytes / (row_blocks * 2 * kRowStep) / kL1Blocks * kL1Blocks);
  const bool keep = blocks > outer;  // the sums of every panel wait
  scratch.ensure((keep ? args.panel_end - args.panel_begin : 1) * row_blocks * kBlockBytes);
  // Each row block brings in its share of the next piece of columns.
  const size_t share = (kL1Blocks * kColumnStep / kCacheLine + row_blocks - 1) / row_blocks;
  for (size_t from = 0; from < blocks; from += outer) {
    const size_t to = std::min(from + outer, blocks);
    for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
      const size_t col = panel * kAmxPanelCols, cols = std::min(kAmxPanelCols, args.n - col);
      uint8_t* sums =
          scratch.data() + (keep ? panel - args.panel_begin : 0) * row_blocks * kBlockBytes;
      for (size_t begin = from; begin < to; begin += kL1Blocks) {
        const size_t count = std::min(kL1Blocks, to - begin);
        const uint8_t* columns = args.w + panel * panel_bytes + begin * kColumnStep;
        const uint8_t* next = columns + kL1Blocks * kColumnStep;
        for (size_t r = 0; r < row_blocks; ++r, next += share * kCacheLine) {
          prefetch_far(next, share);
          multiply_row_block(args, r, begin, count, tile_row, columns, sums + r * kBlockBytes);
          if (begin + count < blocks) continue;
          const size_t row = args.row_begin + r * kRowBlock;
          simd_epilogue_f32(args, {row, std::min(kRowBlock, args.row_end - row), col, cols},
                            reinterpret_cast<const float*>(sums + r * kBlockBytes), kAmxPanelCols);
        }
      }
    }
  }
}

#else

void amx_f32_set_row(uint8_t*, size_t, size_t, const float*) { AKIN_CHECK(amx_available()); }
void amx_f32_set_weight_row(uint8_t*, size_t, size_t, const float*) { AKIN_CHECK(amx_available()); }
void amx_matmul_f32(const MatmulArgs&) { AKIN_CHECK(amx_available()); }

#endif

}  // namespace akin::kernels
