// Products of bf16 matrices on AVX-512's dot products of pairs (bf16.h): tiles of 8 rows and 2
// vectors of columns, whose sums stay in registers over a piece of K.
#include <algorithm>

#include "kernels/bf16.h"
#include "kernels/x86-inl.h"

namespace akin::kernels {

#ifdef AKIN_HAVE_AVX512_BF16

namespace {

constexpr size_t kRows = 8, kVectors = 2, kLanes = 16;
constexpr size_t kPairs = kBf16Depth / 2;

// Where a tile's sums go: rows `stride` apart; onto what lies there, or onto `start` for every row.
struct Sums {
  float* to;
  size_t stride;
  size_t rows;
  bool add;
  const float* start;  // null: zeros
};

AKIN_BF16_TARGET inline __m512 start_of(const Sums& sums, size_t r, size_t v) {
  const __m512 start =
      sums.start == nullptr ? _mm512_setzero_ps() : _mm512_loadu_ps(sums.start + v * kLanes);
  if (!sums.add || r >= sums.rows) return start;
  return _mm512_add_ps(start, _mm512_loadu_ps(sums.to + r * sums.stride + v * kLanes));
}

AKIN_BF16_TARGET inline void multiply_tile(const uint8_t* a, const uint8_t* b, size_t blocks,
                                           const Sums& sums) {
  __m512 acc[kRows][kVectors];
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (size_t v = 0; v < kVectors; ++v) acc[r][v] = start_of(sums, r, v);
  }
  for (size_t block = 0; block < blocks; ++block) {
#pragma GCC unroll 2
    for (size_t pair = 0; pair < kPairs; ++pair) {
      const auto left = (__m512bh)_mm512_load_si512(b + pair * x86::kCacheLine);
      const auto right =
          (__m512bh)_mm512_load_si512(b + kBf16ColumnsBytes / 2 + pair * x86::kCacheLine);
#pragma GCC unroll 8
      for (size_t r = 0; r < kRows; ++r) {
        int32_t values;
        __builtin_memcpy(&values, a + r * x86::kCacheLine + pair * sizeof values, sizeof values);
        const auto both = (__m512bh)_mm512_set1_epi32(values);
        acc[r][0] = _mm512_dpbf16_ps(acc[r][0], both, left);
        acc[r][1] = _mm512_dpbf16_ps(acc[r][1], both, right);
      }
    }
    a += kBf16RowsBytes;
    b += kBf16ColumnsBytes;
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
    if (r >= sums.rows) break;
#pragma GCC unroll 2
    for (size_t v = 0; v < kVectors; ++v)
      _mm512_storeu_ps(sums.to + r * sums.stride + v * kLanes, acc[r][v]);
  }
}

// All rows over blocks [begin, begin + count) of one panel.
AKIN_BF16_TARGET void run_piece(const MatmulArgs& args, const Block& panel, const uint8_t* b,
                                size_t begin, size_t count, float* scratch) {
  const size_t blocks = bf16_depth_blocks(args.k);
  const bool straight =
      panel.cols == kBf16PanelCols && args.epilogue.kind != EpilogueKind::activate;
  const uint8_t* next = b + count * kBf16ColumnsBytes;
  const size_t tiles = (panel.rows + kRows - 1) / kRows;
  const size_t share = (count * kBf16ColumnsBytes / x86::kCacheLine + tiles - 1) / tiles;
  for (size_t r = 0; r < panel.rows; r += kRows, next += share * x86::kCacheLine) {
    x86::prefetch_far(next, share);
    const size_t row = panel.row + r, rows = std::min(kRows, panel.rows - r);
    const uint8_t* a = args.x + row / kBf16BlockRows * blocks * kBf16RowsBytes +
                       begin * kBf16RowsBytes + row % kBf16BlockRows * x86::kCacheLine;
    if (straight) {
      multiply_tile(a, b, count,
                    {args.y + row * args.y_stride + panel.col, args.y_stride, rows,
                     begin > 0 || args.epilogue.kind == EpilogueKind::add,
                     begin == 0 ? args.bias + panel.col : nullptr});
      continue;
    }
    float* sums = scratch + r * kBf16PanelCols;
    multiply_tile(a, b, count, {sums, kBf16PanelCols, rows, begin > 0, nullptr});
    if (begin + count == blocks)
      simd_epilogue_f32(args, {row, rows, panel.col, panel.cols}, sums, kBf16PanelCols);
  }
}

}  // namespace

void vector_matmul_bf16(const MatmulArgs& args) {
  const size_t blocks = bf16_depth_blocks(args.k),
               pieces = (blocks + kBf16L1Blocks - 1) / kBf16L1Blocks,
               piece = (blocks + pieces - 1) / pieces, rows = args.row_end - args.row_begin;
  AKIN_CHECK(args.row_begin % kRows == 0);
  thread_local AlignedArray<float> scratch;
  scratch.ensure(rows * kBf16PanelCols);
  for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    const size_t col = panel * kBf16PanelCols, cols = std::min(kBf16PanelCols, args.n - col);
    const uint8_t* b = args.w + panel * blocks * kBf16ColumnsBytes;
    for (size_t begin = 0; begin < blocks; begin += piece) {
      run_piece(args, {args.row_begin, rows, col, cols}, b + begin * kBf16ColumnsBytes, begin,
                std::min(piece, blocks - begin), scratch.data());
    }
  }
}

#else

void vector_matmul_bf16(const MatmulArgs&) { AKIN_CHECK(avx512_bf16_available()); }

#endif

}  // namespace akin::kernels
