// What the two AMX products share: the tile unit's configuration, its registers' roles, sums in and
// out. Only for amx_f32.cc and amx_int8.cc, inside `#if AKIN_HAVE_AMX`.
//
// Tile registers: 0..3 sums; the others as each product says.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/amx.h"
#include "kernels/matmul.h"

#if defined(__x86_64__) && defined(__linux__)
#define AKIN_HAVE_AMX 1
#include <immintrin.h>

#define AKIN_AMX_TARGET \
  __attribute__((       \
      target("amx-tile,amx-int8,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

namespace akin::kernels::amx {

inline constexpr size_t kCacheLine = 64;  // bytes
inline constexpr size_t kTileBytes = 1024;
inline constexpr size_t kTileRows = 16;
inline constexpr size_t kBlockBytes = kRowBlock * kAmxPanelCols * 4;  // sums of 2 x 2 tiles

struct alignas(64) TileConfig {
  explicit TileConfig(size_t operand_rows) {
    for (const size_t tile : {0, 1, 2, 3, 4, 5, 6, 7}) {
      row_bytes[tile] = 64;
      rows[tile] = static_cast<uint8_t>(kTileRows);
    }
    // Sums and rows of x may be shorter than a tile; so many rows cost so much less time.
    if (operand_rows < kTileRows) {
      for (const size_t tile : {0, 1, 2, 3, 4, 5, 6})
        rows[tile] = static_cast<uint8_t>(operand_rows);
    }
  }
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

// Tiles stay configured while one of these lives; releasing them makes context switches cheap
// again.
class TileScope {
 public:
  AKIN_AMX_TARGET explicit TileScope(size_t operand_rows) {
    const TileConfig config(operand_rows);
    _tile_loadconfig(&config);
  }
  AKIN_AMX_TARGET ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

AKIN_AMX_TARGET inline void zero_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

// scratch: [32][32] of 4-byte sums, row stride 128 bytes.
AKIN_AMX_TARGET inline void store_sums(uint8_t* scratch) {
  _tile_stored(0, scratch, 128);
  _tile_stored(1, scratch + 64, 128);
  _tile_stored(2, scratch + 16 * 128, 128);
  _tile_stored(3, scratch + 16 * 128 + 64, 128);
}
AKIN_AMX_TARGET inline void load_sums(const uint8_t* scratch) {
  _tile_loadd(0, scratch, 128);
  _tile_loadd(1, scratch + 64, 128);
  _tile_loadd(2, scratch + 16 * 128, 128);
  _tile_loadd(3, scratch + 16 * 128 + 64, 128);
}

AKIN_AMX_TARGET inline void prefetch(const uint8_t* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += kCacheLine) _mm_prefetch(from + at, _MM_HINT_T0);
}
// Into L2: what the next piece of work will read.
AKIN_AMX_TARGET inline void prefetch_far(const uint8_t* from, size_t lines) {
  for (size_t line = 0; line < lines; ++line) _mm_prefetch(from + line * kCacheLine, _MM_HINT_T1);
}

AKIN_AMX_TARGET inline __mmask16 lanes_left(size_t left) {
  return left >= 16 ? 0xFFFF : static_cast<__mmask16>((1U << left) - 1);
}

// Sums of up to 16 rows x 64 columns side by side, row stride 256 bytes.
AKIN_AMX_TARGET inline void store_wide_sums(uint8_t* scratch) {
  _tile_stored(0, scratch, 256);
  _tile_stored(1, scratch + 64, 256);
  _tile_stored(2, scratch + 128, 256);
  _tile_stored(3, scratch + 192, 256);
}

// Few rows: one row tile against two panels at a time. `multiply` is wide_block_*, `finish` an
// epilogue.
template <class T, class Multiply, class Finish>
AKIN_AMX_TARGET void matmul_few_rows(const MatmulArgs& args, size_t panel_bytes, size_t x_row_bytes,
                                     Multiply multiply, Finish finish) {
  const size_t rows = args.row_end - args.row_begin;
  const TileScope tiles(rows);
  alignas(64) T sums[kTileRows * 2 * kAmxPanelCols];
  const uint8_t* a = args.x + args.row_begin / kTileRows * x_row_bytes;
  for (size_t panel = args.panel_begin; panel < args.panel_end; panel += 2) {
    const uint8_t* left = args.w + panel * panel_bytes;
    // A last panel without a neighbour is multiplied twice.
    const uint8_t* right = panel + 1 < args.panel_end ? left + panel_bytes : left;
    const size_t col = panel * kAmxPanelCols,
                 end = std::min(args.n, std::min(panel + 2, args.panel_end) * kAmxPanelCols);
    zero_sums();
    multiply(a, left, right);
    store_wide_sums(reinterpret_cast<uint8_t*>(sums));
    finish(Block{args.row_begin, rows, col, end - col}, sums);
  }
}

}  // namespace akin::kernels::amx
#endif
