#include "kernels/amx.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__) && defined(__linux__)
#define AKIN_HAVE_AMX 1
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace akin::kernels {
namespace {

constexpr size_t kTileBytes = 1024;
constexpr size_t kTileRows = 16;
constexpr size_t kParts = 3;
constexpr size_t kF32Depth = 32;   // k per tile, bf16
constexpr size_t kInt8Depth = 64;  // k per tile, s8

size_t f32_depth_blocks(size_t k) { return (k + kF32Depth - 1) / kF32Depth; }
size_t int8_depth_blocks(size_t k) { return (k + kInt8Depth - 1) / kInt8Depth; }

uint16_t bf16_round(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7F800000U) == 0x7F800000U) return static_cast<uint16_t>(bits >> 16);
  return static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

float bf16_value(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

}  // namespace

size_t amx_f32_operand_bytes(size_t rows, size_t k) {
  return round_up(rows, kRowBlock) / kTileRows * f32_depth_blocks(k) * kParts * kTileBytes;
}

size_t amx_f32_weight_bytes(size_t n, size_t k) {
  return round_up(n, kAmxPanelCols) / kTileRows * f32_depth_blocks(k) * kParts * kTileBytes;
}

void amx_f32_set_weight_row(uint8_t* weight, size_t k, size_t column, const float* w) {
  const size_t panel = column / kAmxPanelCols, half = column % kAmxPanelCols / 16,
               lane = column % 16;
  uint8_t* base = weight + panel * f32_depth_blocks(k) * kParts * 2 * kTileBytes;
  for (size_t i = 0; i < f32_depth_blocks(k) * kF32Depth; ++i) {
    float rest = i < k ? w[i] : 0.0F;
    const size_t block = i / kF32Depth, pair = i % kF32Depth / 2;
    for (size_t part = 0; part < kParts; ++part) {
      const uint16_t piece = bf16_round(rest);
      rest -= bf16_value(piece);
      uint8_t* tile = base + ((block * kParts + part) * 2 + half) * kTileBytes;
      std::memcpy(tile + pair * 64 + lane * 4 + i % 2 * 2, &piece, sizeof piece);
    }
  }
}

size_t amx_int8_operand_bytes(size_t rows, size_t k) {
  return round_up(rows, kRowBlock) / kTileRows * int8_depth_blocks(k) * kTileBytes;
}

size_t amx_int8_weight_bytes(size_t n, size_t k) {
  return round_up(n, kAmxPanelCols) / kTileRows * int8_depth_blocks(k) * kTileBytes;
}

void amx_int8_set_weight_row(uint8_t* weight, size_t k, size_t column, const int8_t* q) {
  const size_t panel = column / kAmxPanelCols, half = column % kAmxPanelCols / 16,
               lane = column % 16;
  uint8_t* base = weight + panel * int8_depth_blocks(k) * 2 * kTileBytes + half * kTileBytes;
  for (size_t i = 0; i < int8_depth_blocks(k) * kInt8Depth; ++i) {
    const size_t block = i / kInt8Depth, quad = i % kInt8Depth / 4;
    base[block * 2 * kTileBytes + quad * 64 + lane * 4 + i % 4] =
        static_cast<uint8_t>(i < k ? q[i] : 0);
  }
}

#if AKIN_HAVE_AMX

#define AKIN_AMX_TARGET \
  __attribute__((       \
      target("amx-tile,amx-int8,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

namespace {

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Tiles stay configured while one of these lives; releasing them makes context switches cheap
// again.
class TileScope {
 public:
  AKIN_AMX_TARGET TileScope() {
    static const TileConfig config;
    _tile_loadconfig(&config);
  }
  AKIN_AMX_TARGET ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

// Tile registers: 0..3 sums of a 2 x 2 block, 4..5 rows, 6..7 columns.
AKIN_AMX_TARGET inline void load_rows(const uint8_t* first, const uint8_t* second) {
  _tile_loadd(4, first, 64);
  _tile_loadd(5, second, 64);
}
AKIN_AMX_TARGET inline void load_columns(const uint8_t* tiles) {
  _tile_loadd(6, tiles, 64);
  _tile_loadd(7, tiles + kTileBytes, 64);
}
AKIN_AMX_TARGET inline void multiply_bf16() {
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

// 32 x 32 sums over `blocks` k blocks of 32: parts in rising order of size, so that small terms are
// not lost.
AKIN_AMX_TARGET void block_f32(const uint8_t* a0, const uint8_t* a1, const uint8_t* b,
                               size_t blocks) {
  for (size_t i = 0; i < blocks; ++i) {
    const uint8_t* b1 = b;
    const uint8_t* b2 = b + 2 * kTileBytes;
    const uint8_t* b3 = b + 4 * kTileBytes;
    load_rows(a0, a1);
    load_columns(b3);
    multiply_bf16();  // x1 w3
    load_columns(b2);
    multiply_bf16();  // x1 w2
    load_rows(a0 + kTileBytes, a1 + kTileBytes);
    multiply_bf16();  // x2 w2
    load_columns(b1);
    multiply_bf16();  // x2 w1
    load_rows(a0 + 2 * kTileBytes, a1 + 2 * kTileBytes);
    multiply_bf16();  // x3 w1
    load_rows(a0, a1);
    multiply_bf16();  // x1 w1
    a0 += kParts * kTileBytes;
    a1 += kParts * kTileBytes;
    b += kParts * 2 * kTileBytes;
  }
}

AKIN_AMX_TARGET void block_int8(const uint8_t* a0, const uint8_t* a1, const uint8_t* b,
                                size_t blocks) {
  for (size_t i = 0; i < blocks; ++i) {
    load_rows(a0, a1);
    load_columns(b);
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
    a0 += kTileBytes;
    a1 += kTileBytes;
    b += 2 * kTileBytes;
  }
}

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

bool has_amx_cpu() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kBf16 = 1U << 22, kTile = 1U << 24, kInt8 = 1U << 25;
  if ((d & (kBf16 | kTile | kInt8)) != (kBf16 | kTile | kInt8)) return false;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) == 0) return false;
  return (a & (1U << 5)) != 0;  // AVX512_BF16
}

}  // namespace

bool amx_available() {
  static const bool available = [] {
    constexpr long kRequestPermission = 0x1023,
                   kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return has_amx_cpu() && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return available;
}

static __mmask16 lanes_left(size_t left) {
  return left >= 16 ? 0xFFFF : static_cast<__mmask16>((1U << left) - 1);
}

AKIN_AMX_TARGET void amx_f32_set_row(uint8_t* operand, size_t k, size_t row, const float* x) {
  const size_t blocks = f32_depth_blocks(k);
  uint8_t* out = operand + row / kTileRows * blocks * kParts * kTileBytes + row % kTileRows * 64;
  for (size_t i = 0; i < blocks * kF32Depth; i += kF32Depth, out += kParts * kTileBytes) {
    const __mmask16 low_mask = lanes_left(k - i),
                    high_mask = k - i > 16 ? lanes_left(k - i - 16) : 0;
    __m512 low = _mm512_maskz_loadu_ps(low_mask, x + i);
    __m512 high = _mm512_maskz_loadu_ps(high_mask, x + i + 16);
    for (size_t part = 0; part < kParts; ++part) {
      const auto pieces = (__m512i)_mm512_cvtne2ps_pbh(high, low);
      _mm512_storeu_si512(out + part * kTileBytes, pieces);
      low = _mm512_sub_ps(low, _mm512_castsi512_ps(_mm512_slli_epi32(
                                   _mm512_cvtepu16_epi32(_mm512_castsi512_si256(pieces)), 16)));
      high = _mm512_sub_ps(high,
                           _mm512_castsi512_ps(_mm512_slli_epi32(
                               _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(pieces, 1)), 16)));
    }
  }
}

// The same rounding as quantize_row: one product with 127 / max, then to nearest even.
AKIN_AMX_TARGET float amx_int8_set_row(uint8_t* operand, size_t k, size_t row, const float* x) {
  const size_t blocks = int8_depth_blocks(k);
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
  for (i = 0; i < blocks * kInt8Depth; i += 16) {
    const __m512 v = _mm512_maskz_loadu_ps(i < k ? lanes_left(k - i) : 0, x + i);
    const __m512i q =
        usable ? _mm512_cvtps_epi32(_mm512_mul_ps(v, inverse)) : _mm512_setzero_si512();
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i / kInt8Depth * kTileBytes + i % kInt8Depth),
                     _mm512_cvtsepi32_epi8(q));
  }
  return usable ? max / 127.0F : 0.0F;
}

AKIN_AMX_TARGET void amx_matmul_f32(const MatmulArgs& args) {
  constexpr size_t kDepthChunk = 4;  // k blocks whose columns stay in L1 while all rows pass
  const size_t blocks = f32_depth_blocks(args.k);
  const size_t tile_row = blocks * kParts * kTileBytes;
  const TileScope tiles;
  thread_local AlignedArray<uint8_t> scratch;
  const size_t row_blocks = (args.row_end - args.row_begin + kRowBlock - 1) / kRowBlock;
  constexpr size_t kBlockBytes = kRowBlock * kAmxPanelCols * sizeof(float);
  scratch.ensure(row_blocks * kBlockBytes);
  for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    const uint8_t* b = args.w + panel * 2 * tile_row;
    const size_t col = panel * kAmxPanelCols, cols = std::min(kAmxPanelCols, args.n - col);
    for (size_t begin = 0; begin < blocks; begin += kDepthChunk) {
      const size_t count = std::min(kDepthChunk, blocks - begin);
      for (size_t r = 0; r < row_blocks; ++r) {
        uint8_t* sums = scratch.data() + r * kBlockBytes;
        const uint8_t* a = args.x + ((args.row_begin / kTileRows) + 2 * r) * tile_row +
                           begin * kParts * kTileBytes;
        if (begin == 0) {
          zero_sums();
        } else {
          load_sums(sums);
        }
        block_f32(a, a + tile_row, b + begin * kParts * 2 * kTileBytes, count);
        store_sums(sums);
        if (begin + count < blocks) continue;
        const size_t row = args.row_begin + r * kRowBlock;
        simd_epilogue_f32(args, {row, std::min(kRowBlock, args.row_end - row), col, cols},
                          reinterpret_cast<const float*>(sums), kAmxPanelCols);
      }
    }
  }
}

AKIN_AMX_TARGET void amx_matmul_int8(const MatmulArgs& args) {
  const size_t blocks = int8_depth_blocks(args.k);
  const size_t tile_row = blocks * kTileBytes;
  const TileScope tiles;
  alignas(64) int32_t sums[kRowBlock * kAmxPanelCols];
  for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    const uint8_t* b = args.w + panel * 2 * tile_row;
    const size_t col = panel * kAmxPanelCols, cols = std::min(kAmxPanelCols, args.n - col);
    for (size_t row = args.row_begin; row < args.row_end; row += kRowBlock) {
      const uint8_t* a = args.x + row / kTileRows * tile_row;
      zero_sums();
      block_int8(a, a + tile_row, b, blocks);
      store_sums(reinterpret_cast<uint8_t*>(sums));
      simd_epilogue_int32(args, {row, std::min(kRowBlock, args.row_end - row), col, cols}, sums,
                          kAmxPanelCols);
    }
  }
}

#else

bool amx_available() { return false; }
void amx_f32_set_row(uint8_t*, size_t, size_t, const float*) { AKIN_CHECK(amx_available()); }
float amx_int8_set_row(uint8_t*, size_t, size_t, const float*) {
  AKIN_CHECK(amx_available());
  return 0;
}
void amx_matmul_f32(const MatmulArgs&) { AKIN_CHECK(amx_available()); }
void amx_matmul_int8(const MatmulArgs&) { AKIN_CHECK(amx_available()); }

#endif

}  // namespace akin::kernels
