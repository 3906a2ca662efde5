// What the AMX products share: sizes, the tile unit's configuration, sums in and out. Only for
// amx_f32.cc, amx_bf16.cc and amx_int8.cc; all but the sizes needs AKIN_HAVE_AMX.
//
// Tile registers: 0..3 sums, 4..5 rows of x; the others as each product says.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/amx.h"
#include "kernels/matmul.h"
#include "kernels/x86-inl.h"

namespace akin::kernels::amx {

using namespace x86;  // NOLINT(google-build-using-namespace): one machine's files

inline constexpr size_t kTileBytes = 1024;
inline constexpr size_t kTileRows = 16;
inline constexpr size_t kBlockBytes = kRowBlock * kAmxPanelCols * 4;  // sums of 2 x 2 tiles

}  // namespace akin::kernels::amx

#ifdef AKIN_HAVE_AVX512_BF16
#define AKIN_HAVE_AMX 1

#define AKIN_AMX_TARGET \
  __attribute__((       \
      target("amx-tile,amx-int8,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

namespace akin::kernels::amx {

struct alignas(64) TileConfig {
  // Sums and rows of x may be shorter than a tile; so many rows cost so much less time.
  explicit TileConfig(size_t operand_rows) {
    for (size_t tile = 0; tile < 8; ++tile) {
      row_bytes[tile] = 64;
      rows[tile] = static_cast<uint8_t>(tile < 6 ? operand_rows : kTileRows);
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

}  // namespace akin::kernels::amx
#endif
