// f32 products on an AMX machine, from one copy of the weights in two ways. Long texts go to the
// bf16 tile unit: each f32 is the sum of three bf16 parts, x = x1 + x2 + x3; six of the nine
// partial products are summed, what is dropped is below 2^-24 relative. Short texts go to AVX-512
// multiply-adds: with few rows, reading the weights is the work, and tiles have nothing to gain.
//
// Tile registers 4 and 5 hold rows, 6 and 7 columns.
#include <algorithm>
#include <cstring>

#include "kernels/amx-inl.h"
#include "kernels/amx.h"

namespace akin::kernels {
namespace {

using namespace amx;  // NOLINT(google-build-using-namespace): one product's file

constexpr size_t kParts = 3;
constexpr size_t kDepth = 32;                               // k per tile
constexpr size_t kRowStep = kParts * kTileBytes;            // bytes of a row tile's parts
constexpr size_t kSourceStep = kDepth * kAmxPanelCols * 4;  // bytes of f32 columns, a k block
constexpr size_t kColumnStep = 2 * kParts * kTileBytes;     // the same as tiles

size_t depth_blocks(size_t k) { return (k + kDepth - 1) / kDepth; }

}  // namespace

size_t amx_f32_operand_bytes(size_t rows, size_t k) {
  return round_up(rows, kRowBlock) / kTileRows * depth_blocks(k) * kRowStep;
}

size_t amx_f32_weight_bytes(size_t n, size_t k) {
  return round_up(n, kAmxPanelCols) / kAmxPanelCols * depth_blocks(k) * kSourceStep;
}

size_t amx_f32_short_row_floats(size_t k) { return depth_blocks(k) * kDepth; }

void amx_f32_set_weight_row(uint8_t* weight, size_t k, size_t column, const float* w) {
  const size_t panel = column / kAmxPanelCols, half = column % kAmxPanelCols / 16,
               lane = column % 16;
  constexpr size_t kHalf = kDepth * 16, kPairRow = 32;  // floats
  auto* to = reinterpret_cast<float*>(weight + panel * depth_blocks(k) * kSourceStep) +
             half * kHalf + lane * 2;
  for (size_t i = 0; i < k; ++i)
    to[i / kDepth * 2 * kHalf + i % kDepth / 2 * kPairRow + i % 2] = w[i];
}

#ifdef AKIN_HAVE_AMX

namespace {

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

// One k block of a panel: f32 [half 2][16 k pairs][16 columns][2] to tiles [part 3][half 2].
AKIN_AMX_TARGET inline void split_columns(const uint8_t* source, uint8_t* tiles) {
  const auto* from = reinterpret_cast<const float*>(source);
  for (size_t half = 0; half < 2; ++half) {
    for (size_t pair = 0; pair < 16; ++pair, from += 32) {
      split(_mm512_load_ps(from), _mm512_load_ps(from + 16),
            tiles + half * kTileBytes + pair * kCacheLine, 2 * kTileBytes);
    }
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

// One half (16 columns) of a panel. Pairs of k lie side by side in a vector: even lanes sum even k,
// odd lanes odd k, of eight columns.
template <size_t R>
AKIN_AMX_TARGET inline void multiply_pairs(const float* x, size_t x_stride, const float* w,
                                           size_t blocks, bool first, float* sums) {
  constexpr size_t kBlockFloats = kDepth * kAmxPanelCols, kAhead = 2 * kBlockFloats;
  __m512 low[R], high[R];
  for (size_t r = 0; r < R; ++r) low[r] = high[r] = _mm512_setzero_ps();
  for (size_t block = 0; block < blocks; ++block, w += kBlockFloats, x += kDepth) {
    for (size_t pair = 0; pair < kDepth / 2; ++pair) {
      const float* from = w + pair * 32;
      _mm_prefetch(reinterpret_cast<const char*>(from + kAhead), _MM_HINT_T0);
      _mm_prefetch(reinterpret_cast<const char*>(from + kAhead + 16), _MM_HINT_T0);
      const __m512 b0 = _mm512_load_ps(from), b1 = _mm512_load_ps(from + 16);
      for (size_t r = 0; r < R; ++r) {
        double both;
        std::memcpy(&both, x + r * x_stride + 2 * pair, sizeof both);
        const __m512 a = _mm512_castpd_ps(_mm512_set1_pd(both));
        low[r] = _mm512_fmadd_ps(a, b0, low[r]);
        high[r] = _mm512_fmadd_ps(a, b1, high[r]);
      }
    }
  }
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  for (size_t r = 0; r < R; ++r, sums += kAmxPanelCols) {
    const __m512 sum = _mm512_add_ps(_mm512_permutex2var_ps(low[r], even, high[r]),
                                     _mm512_permutex2var_ps(low[r], odd, high[r]));
    _mm512_store_ps(sums, first ? sum : _mm512_add_ps(sum, _mm512_load_ps(sums)));
  }
}

template <size_t R>
AKIN_AMX_TARGET inline void multiply_up_to(size_t rows, const float* x, size_t x_stride,
                                           const float* w, size_t blocks, bool first, float* sums) {
  if (rows == R) {
    multiply_pairs<R>(x, x_stride, w, blocks, first, sums);
  } else if constexpr (R > 1) {
    multiply_up_to<R - 1>(rows, x, x_stride, w, blocks, first, sums);
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

AKIN_AMX_TARGET void amx_matmul_f32(const MatmulArgs& args) {
  // K in pieces whose row tiles of all rows stay in L2, and within them in pieces whose column
  // tiles stay in L1 while all rows pass. Sums wait in memory between pieces, unrounded.
  constexpr size_t kL2Bytes = size_t{1280} << 10, kL1Blocks = 4;
  const size_t blocks = depth_blocks(args.k), tile_row = blocks * kRowStep,
               panel_bytes = blocks * kSourceStep, rows = args.row_end - args.row_begin;
  const TileScope tiles(kTileRows);
  thread_local AlignedArray<uint8_t> scratch;
  alignas(64) uint8_t columns[kL1Blocks * kColumnStep];
  const size_t row_blocks = (rows + kRowBlock - 1) / kRowBlock;
  const size_t outer =
      std::max(kL1Blocks, kL2Bytes / (row_blocks * 2 * kRowStep) / kL1Blocks * kL1Blocks);
  const bool keep = blocks > outer;  // the sums of every panel wait
  scratch.ensure((keep ? args.panel_end - args.panel_begin : 1) * row_blocks * kBlockBytes);
  // Each row block brings in its share of the next piece of columns.
  const size_t share = (kL1Blocks * kSourceStep / kCacheLine + row_blocks - 1) / row_blocks;
  for (size_t from = 0; from < blocks; from += outer) {
    const size_t to = std::min(from + outer, blocks);
    for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
      const size_t col = panel * kAmxPanelCols, cols = std::min(kAmxPanelCols, args.n - col);
      uint8_t* sums =
          scratch.data() + (keep ? panel - args.panel_begin : 0) * row_blocks * kBlockBytes;
      for (size_t begin = from; begin < to; begin += kL1Blocks) {
        const size_t count = std::min(kL1Blocks, to - begin);
        const uint8_t* source = args.w + panel * panel_bytes + begin * kSourceStep;
        for (size_t i = 0; i < count; ++i)
          split_columns(source + i * kSourceStep, columns + i * kColumnStep);
        const uint8_t* next = source + kL1Blocks * kSourceStep;
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

AKIN_AMX_TARGET void amx_matmul_f32_short(const MatmulArgs& args) {
  constexpr size_t kBlocks = 4, kRows = 12,
                   kPanelBlock =
                       kSourceStep /
                       sizeof(float);  // a panel's piece stays in L1; 24 sums in registers
  const auto* x = reinterpret_cast<const float*>(args.x);
  const size_t blocks = depth_blocks(args.k), stride = amx_f32_short_row_floats(args.k);
  thread_local AlignedArray<float> scratch;
  scratch.ensure((args.row_end - args.row_begin) * kAmxPanelCols);
  for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    const auto* w = reinterpret_cast<const float*>(args.w + panel * blocks * kSourceStep);
    const size_t col = panel * kAmxPanelCols, cols = std::min(kAmxPanelCols, args.n - col);
    for (size_t begin = 0; begin < blocks; begin += kBlocks) {
      const size_t count = std::min(kBlocks, blocks - begin);
      for (size_t row = args.row_begin, rows; row < args.row_end; row += rows) {
        rows = std::min(kRows, args.row_end - row);
        float* sums = scratch.data() + (row - args.row_begin) * kAmxPanelCols;
        for (const size_t half : {0, 16}) {
          multiply_up_to<kRows>(rows, x + row * stride + begin * kDepth, stride,
                                w + begin * kPanelBlock + half * kDepth, count, begin == 0,
                                sums + half);
        }
        if (begin + count == blocks)
          simd_epilogue_f32(args, {row, rows, col, cols}, sums, kAmxPanelCols);
      }
    }
  }
}

#else

void amx_matmul_f32_short(const MatmulArgs&) { AKIN_CHECK(amx_available()); }
void amx_f32_set_row(uint8_t*, size_t, size_t, const float*) { AKIN_CHECK(amx_available()); }
void amx_matmul_f32(const MatmulArgs&) { AKIN_CHECK(amx_available()); }

#endif

}  // namespace akin::kernels
