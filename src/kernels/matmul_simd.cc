// Packed products on Highway vectors: f32, and int8 through VNNI or 16-bit multiply-adds; also the
// epilogues.
//
// f32 weights: [panel][K][panel columns]; a panel is two vectors wide. int8 weights with VNNI:
// [panel][K/4][columns][4] of s8; without: [panel][K/2][columns][2] of i16.
#include <algorithm>

#include "kernels/matmul.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matmul_simd.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
using DI = hn::RebindToSigned<DF>;
using VF = hn::Vec<DF>;
using VI = hn::Vec<DI>;

constexpr size_t kVectors = 2;  // columns of a panel, in vectors
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr size_t kTileRowsMax = 12;  // 24 sums, 2 columns, 1 broadcast of 32 registers
#else
constexpr size_t kTileRowsMax = 6;  // 12 + 2 + 1 of 16 registers
#endif
constexpr size_t kAheadBytes = 4096;  // of weights, asked for before they are read
constexpr size_t kShortDepth = 64;    // K up to which y costs more than the products

constexpr bool kVnni = HWY_TARGET == HWY_AVX3_DL && HWY_ARCH_X86;

size_t panel_cols() { return kVectors * hn::Lanes(DF()); }
size_t tile_rows() { return kTileRowsMax; }
bool uses_vnni() { return kVnni; }

// The first n < lanes values of p, zeros behind them.
HWY_INLINE VF load_part(DF d, const float* p, size_t n) {
#if HWY_TARGET <= HWY_AVX2 && HWY_ARCH_X86
  return hn::MaskedLoad(hn::FirstN(d, n), d, p);
#else
  HWY_ALIGN float buffer[16] = {};
  for (size_t i = 0; i < n; ++i) buffer[i] = p[i];
  return hn::Load(d, buffer);
#endif
}

// What happens to a finished sum; a template argument, so that the inner loop has no choices left.
enum class Mode : uint8_t { store, add, gelu, gelu_coarse, activate };

// Column block.col + c of a block, one vector wide: y = f(sum(r) + bias) for every row r.
template <Mode kMode, bool kWhole, class Sum>
HWY_INLINE void epilogue_column(const MatmulArgs& args, const Block& block, const GeluTable& table,
                                size_t c, const Sum& sum) {
  const DF d;
  const size_t col = block.col + c, rest = block.cols - c;
  const VF bias = hn::Load(d, args.bias + col);
  for (size_t r = 0; r < block.rows; ++r) {
    float* y = args.y + (block.row + r) * args.y_stride + col;
    VF v = hn::Add(sum(r), bias);
    if constexpr (kMode == Mode::add) {
      v = hn::Add(v, kWhole ? hn::LoadU(d, y) : load_part(d, y, rest));
    } else if constexpr (kMode == Mode::gelu) {
      v = gelu_erf_f32(d, v, table);
    } else if constexpr (kMode == Mode::gelu_coarse) {
      v = gelu_erf_f32<kGeluCoarseDegree>(d, v, table);
    } else if constexpr (kMode == Mode::activate) {
      v = activate_f32(d, v, args.epilogue.activation, table);
    }
    if constexpr (kWhole) {
      hn::StoreU(v, d, y);
    } else {
      hn::BlendedStore(v, hn::FirstN(d, rest), d, y);
    }
  }
}

// sums(c) gives a function of the block's rows: the vectors of sums at block column c.
template <Mode kMode, class Sums>
HWY_INLINE void epilogue_columns(const MatmulArgs& args, const Block& block, const Sums& sums) {
  const size_t lanes = hn::Lanes(DF());
  const GeluTable& table = kMode == Mode::gelu_coarse ? gelu_coarse_table() : gelu_table();
  size_t c = 0;
  for (; c + lanes <= block.cols; c += lanes)
    epilogue_column<kMode, true>(args, block, table, c, sums(c));
  if (c < block.cols) epilogue_column<kMode, false>(args, block, table, c, sums(c));
}

template <Mode kGelu, class Sums>
HWY_INLINE void epilogue(const MatmulArgs& args, const Block& block, const Sums& sums) {
  switch (args.epilogue.kind) {
    case EpilogueKind::store:
      return epilogue_columns<Mode::store>(args, block, sums);
    case EpilogueKind::add:
      return epilogue_columns<Mode::add>(args, block, sums);
    case EpilogueKind::activate:
      break;
  }
  if (args.epilogue.activation == Activation::gelu_erf)
    return epilogue_columns<kGelu>(args, block, sums);
  epilogue_columns<Mode::activate>(args, block, sums);
}

void epilogue_f32(const MatmulArgs& args, const Block& block, const float* acc, size_t stride) {
  epilogue<Mode::gelu>(args, block, [=](size_t c) HWY_ATTR {
    return [=](size_t r) HWY_ATTR { return hn::Load(DF(), acc + r * stride + c); };
  });
}

// value = sum * (row scale * column scale): the scales first, so that every backend rounds alike.
void epilogue_int32(const MatmulArgs& args, const Block& block, const int32_t* acc, size_t stride) {
  epilogue<Mode::gelu_coarse>(args, block, [&](size_t c) HWY_ATTR {
    const VF columns = hn::Load(DF(), args.w_scales + block.col + c);
    const float* rows = args.x_scales + block.row;
    return [=](size_t r) HWY_ATTR {
      const DF d;
      const VF scale = hn::Mul(hn::Set(d, rows[r]), columns);
      return hn::Mul(hn::ConvertTo(d, hn::Load(DI(), acc + r * stride + c)), scale);
    };
  });
}

// Where the sums of a tile go: onto `scratch`, [rows, panel columns], as one piece of K, or, when K
// is one piece and the tile's columns are whole vectors, straight into y.
struct SumsF32 {
  float* scratch = nullptr;
  bool first = false;  // of K's pieces
  float* y = nullptr;
  size_t y_stride = 0;
  const float* bias = nullptr;
  bool add = false;  // to what y holds
};

// R rows x the first V vectors of one panel over k in [0, depth): sums stay in registers until they
// are done. x lies by rows, x_stride apart, or as a tile of columns, [depth][tile].
template <size_t R, size_t V, bool kByColumns>
HWY_INLINE void tile_f32(const float* x, size_t x_stride, const float* w, size_t depth,
                         const SumsF32& out) {
  const DF d;
  const size_t lanes = hn::Lanes(d);
  VF acc[R][V];
  for (size_t r = 0; r < R; ++r) {
    for (size_t v = 0; v < V; ++v) acc[r][v] = hn::Zero(d);
  }
  for (size_t k = 0; k < depth; ++k) {
    VF b[V];
    for (size_t v = 0; v < V; ++v) {
      const float* from = w + (k * kVectors + v) * lanes;
      hwy::Prefetch(from + kAheadBytes / sizeof(float));
      b[v] = hn::Load(d, from);
    }
    for (size_t r = 0; r < R; ++r) {
      const VF a = hn::Set(d, kByColumns ? x[k * kTileRowsMax + r] : x[r * x_stride + k]);
      for (size_t v = 0; v < V; ++v) acc[r][v] = hn::MulAdd(a, b[v], acc[r][v]);
    }
  }
  // Unrolled: sums indexed by a variable would leave their registers.
  if (out.y != nullptr) {
#pragma GCC unroll 12
    for (size_t r = 0; r < R; ++r) {
#pragma GCC unroll 2
      for (size_t v = 0; v < V; ++v) {
        float* to = out.y + r * out.y_stride + v * lanes;
        const VF sum = hn::Add(acc[r][v], hn::Load(d, out.bias + v * lanes));
        hn::StoreU(out.add ? hn::Add(sum, hn::LoadU(d, to)) : sum, d, to);
      }
    }
    return;
  }
#pragma GCC unroll 12
  for (size_t r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (size_t v = 0; v < V; ++v) {
      float* to = out.scratch + (r * kVectors + v) * lanes;
      hn::Store(out.first ? acc[r][v] : hn::Add(acc[r][v], hn::Load(d, to)), d, to);
    }
  }
}

template <size_t R, size_t V, bool kByColumns>
HWY_INLINE void tiles_f32(size_t rows, const float* x, size_t x_stride, const float* w,
                          size_t depth, const SumsF32& out) {
  if (rows == R) {
    tile_f32<R, V, kByColumns>(x, x_stride, w, depth, out);
  } else if constexpr (R > 1) {
    tiles_f32<R - 1, V, kByColumns>(rows, x, x_stride, w, depth, out);
  }
}

struct Rows {
  size_t begin, end;
};

// Columns [panel * panel columns, + cols) of y; cols fill the first V vectors of the panel.
template <size_t V, bool kByColumns>
void panel_f32(const MatmulArgs& args, Rows rows, size_t panel, size_t cols, float* scratch) {
  const auto* x = reinterpret_cast<const float*>(args.x);
  const size_t lanes = hn::Lanes(DF()), stride = kVectors * lanes, col = panel * stride;
  const float* w = reinterpret_cast<const float*>(args.w) + col * args.k;
  const bool straight =
      args.k <= args.depth && cols == V * lanes && args.epilogue.kind != EpilogueKind::activate;
  SumsF32 out;
  out.y_stride = args.y_stride;
  out.bias = args.bias + col;
  out.add = args.epilogue.kind == EpilogueKind::add;
  for (size_t k = 0; k < args.k; k += args.depth) {
    const size_t depth = HWY_MIN(args.depth, args.k - k);
    out.first = k == 0;
    for (size_t row = rows.begin; row < rows.end; row += kTileRowsMax) {
      const size_t count = HWY_MIN(kTileRowsMax, rows.end - row);
      if (straight) out.y = args.y + row * args.y_stride + col;
      out.scratch = scratch + (row - rows.begin) * stride;
      tiles_f32<kTileRowsMax, V, kByColumns>(
          count, x + row * args.x_stride + (kByColumns ? k * kTileRowsMax : k), args.x_stride,
          w + k * stride, depth, out);
      if (k + depth == args.k && !straight)
        epilogue_f32(args, {row, count, col, cols}, out.scratch, stride);
    }
  }
}

// A panel's piece stays in L1 while all rows pass. Where K is short (the second half of a LoRA
// product), what costs is y: then a tile of rows passes all panels, and y is read in order.
template <bool kByColumns>
void matmul_f32_as(const MatmulArgs& args) {
  const size_t lanes = hn::Lanes(DF()), panel_width = kVectors * lanes;
  const size_t step = args.k <= kShortDepth ? kTileRowsMax : args.row_end - args.row_begin;
  thread_local AlignedArray<float> scratch;
  scratch.ensure(step * panel_width);
  for (size_t row = args.row_begin; row < args.row_end; row += step) {
    const Rows rows = {row, HWY_MIN(row + step, args.row_end)};
    for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
      const size_t cols = HWY_MIN(panel_width, args.n - panel * panel_width);
      if (cols <= lanes) {
        panel_f32<1, kByColumns>(args, rows, panel, cols, scratch.data());
      } else {
        panel_f32<kVectors, kByColumns>(args, rows, panel, cols, scratch.data());
      }
    }
  }
}

void matmul_f32(const MatmulArgs& args) {
  return args.x_by_columns ? matmul_f32_as<true>(args) : matmul_f32_as<false>(args);
}

#if HWY_TARGET == HWY_AVX3_DL && HWY_ARCH_X86
constexpr size_t kInt8Step = 4;
HWY_INLINE VI int8_madd(VI acc, const uint8_t* x, VI w) {
  int32_t quad;
  __builtin_memcpy(&quad, x, sizeof quad);
  // By hand: Highway 1.0.3 switches this target on without naming AVX512-VNNI to the compiler.
  const __m512i quads = _mm512_set1_epi32(quad);
  asm("vpdpbusd %2, %1, %0" : "+v"(acc.raw) : "v"(quads), "v"(w.raw));
  return acc;
}
#else
constexpr size_t kInt8Step = 2;
HWY_INLINE VI int8_madd(VI acc, const uint8_t* x, VI w) {
  const DI d;
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
  HWY_ALIGN int16_t b[32];
  HWY_ALIGN int32_t words[16], sum[16];
  int16_t a[2];
  __builtin_memcpy(a, x, sizeof a);
  hn::Store(w, d, words);
  __builtin_memcpy(b, words, sizeof b);
  hn::Store(acc, d, sum);
  for (size_t i = 0; i < hn::Lanes(d); ++i) sum[i] += a[0] * b[2 * i] + a[1] * b[2 * i + 1];
  return hn::Load(d, sum);
#else
  const hn::Repartition<int16_t, DI> d16;
  int32_t pair;
  __builtin_memcpy(&pair, x, sizeof pair);
  const auto a16 = hn::BitCast(d16, hn::Set(d, pair));
  const auto b16 = hn::BitCast(d16, w);
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  return hn::Add(acc, VI{_mm512_madd_epi16(a16.raw, b16.raw)});
#elif HWY_TARGET == HWY_AVX2
  return hn::Add(acc, VI{_mm256_madd_epi16(a16.raw, b16.raw)});
#elif HWY_ARCH_X86
  return hn::Add(acc, VI{_mm_madd_epi16(a16.raw, b16.raw)});
#else
  VI high = hn::Zero(d);
  acc = hn::ReorderWidenMulAccumulate(d, a16, b16, acc, high);
  return hn::Add(acc, high);
#endif
#endif
}
#endif

size_t int8_row_bytes(size_t k) { return kVnni ? round_up(k, 4) : round_up(k, 2) * 2; }

template <size_t R>
HWY_INLINE void tile_int8(const uint8_t* x, size_t x_stride, const uint8_t* w, size_t steps,
                          const int32_t* start, int32_t* sums) {
  const DI d;
  const size_t lanes = hn::Lanes(d);
  VI acc[R][kVectors];
  for (size_t r = 0; r < R; ++r) {
    for (size_t v = 0; v < kVectors; ++v)
      acc[r][v] = kVnni ? hn::Neg(hn::Load(d, start + v * lanes)) : hn::Zero(d);
  }
  for (size_t s = 0; s < steps; ++s) {
    VI b[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      const int32_t* from = reinterpret_cast<const int32_t*>(w) + (s * kVectors + v) * lanes;
      hwy::Prefetch(from + kAheadBytes / sizeof(int32_t));
      b[v] = hn::Load(d, from);
    }
    for (size_t r = 0; r < R; ++r) {
      for (size_t v = 0; v < kVectors; ++v)
        acc[r][v] = int8_madd(acc[r][v], x + r * x_stride + s * 4, b[v]);
    }
  }
  for (size_t r = 0; r < R; ++r) {
    for (size_t v = 0; v < kVectors; ++v)
      hn::Store(acc[r][v], d, sums + (r * kVectors + v) * lanes);
  }
}

template <size_t R>
HWY_INLINE void tiles_int8(size_t rows, const uint8_t* x, size_t x_stride, const uint8_t* w,
                           size_t steps, const int32_t* start, int32_t* sums) {
  if (rows == R) {
    tile_int8<R>(x, x_stride, w, steps, start, sums);
  } else if constexpr (R > 1) {
    tiles_int8<R - 1>(rows, x, x_stride, w, steps, start, sums);
  }
}

void matmul_int8(const MatmulArgs& args) {
  const size_t steps = (args.k + kInt8Step - 1) / kInt8Step, cols = panel_cols();
  const size_t x_stride = int8_row_bytes(args.k), panel_bytes = steps * 4 * cols;
  HWY_ALIGN int32_t sums[kTileRowsMax * kVectors * 16];
  for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    for (size_t row = args.row_begin; row < args.row_end;) {
      const size_t rows = HWY_MIN(kTileRowsMax, args.row_end - row);
      tiles_int8<kTileRowsMax>(rows, args.x + row * x_stride, x_stride,
                               args.w + panel * panel_bytes, steps, args.w_sums + panel * cols,
                               sums);
      epilogue_int32(args, {row, rows, panel * cols, HWY_MIN(cols, args.n - panel * cols)}, sums,
                     cols);
      row += rows;
    }
  }
}

// The largest |x|. Four sums at a time: the latency of one would be most of the work.
float largest_magnitude(const float* x, size_t k) {
  const DF d;
  const size_t lanes = hn::Lanes(d);
  VF largest[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  size_t i = 0;
  for (; i + 4 * lanes <= k; i += 4 * lanes) {
    for (size_t v = 0; v < 4; ++v)
      largest[v] = hn::Max(largest[v], hn::Abs(hn::LoadU(d, x + i + v * lanes)));
  }
  for (; i + lanes <= k; i += lanes) largest[0] = hn::Max(largest[0], hn::Abs(hn::LoadU(d, x + i)));
  const VF all = hn::Max(hn::Max(largest[0], largest[1]), hn::Max(largest[2], largest[3]));
  float max = hn::GetLane(hn::MaxOfLanes(d, all));
  for (; i < k; ++i) max = HWY_MAX(max, x[i] < 0 ? -x[i] : x[i]);
  return max;
}

using Bytes = hn::Vec<hn::Rebind<int8_t, DF>>;

// round(v) of |v| <= 127, ties to even.
HWY_INLINE Bytes round_to_bytes(VF v) {
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  // 1.5 * 2^23 added to a number leaves its nearest integer in the low bits. By hand: Highway
  // 1.0.3 truncates 32-bit lanes to other bytes than the lowest on the newest of these targets.
  const VF rounded = hn::Add(v, hn::Set(DF(), 12582912.0F));
  return Bytes{_mm512_cvtepi32_epi8(hn::BitCast(DI(), rounded).raw)};
#else
  return hn::DemoteTo(hn::Rebind<int8_t, DF>(), hn::NearestInt(v));
#endif
}

// q = round(127 x / max|x|), its sign bit turned over where kUnsigned (q + 128, as u8).
template <bool kUnsigned>
float quantize_bytes(const float* x, size_t k, int8_t* q) {
  const DF d;
  const hn::Rebind<int8_t, DF> d8;
  const size_t lanes = hn::Lanes(d);
  const auto turn = hn::Set(d8, kUnsigned ? int8_t{-128} : int8_t{0});
  const float max = largest_magnitude(x, k);
  if (!(max > 0.0F) || !(max < 3.0e38F)) {
    std::fill_n(q, k, kUnsigned ? int8_t{-128} : int8_t{0});
    return 0.0F;
  }
  const VF inverse = hn::Set(d, 127.0F / max);
  const auto bytes = [&](VF v)
                         HWY_ATTR { return hn::Xor(round_to_bytes(hn::Mul(v, inverse)), turn); };
  size_t i = 0;
  for (; i + lanes <= k; i += lanes) hn::StoreU(bytes(hn::LoadU(d, x + i)), d8, q + i);
  if (i < k) hn::BlendedStore(bytes(load_part(d, x + i, k - i)), hn::FirstN(d8, k - i), d8, q + i);
  return max / 127.0F;
}

float quantize(const float* x, size_t k, int8_t* q) { return quantize_bytes<false>(x, k, q); }

float set_int8_row(const float* x, size_t k, uint8_t* out) {
  if constexpr (kVnni) {
    std::fill(out + k, out + round_up(k, 4), uint8_t{0});  // its weights are 0 too
    return quantize_bytes<true>(x, k, reinterpret_cast<int8_t*>(out));
  }
  thread_local AlignedArray<int8_t> q;
  q.ensure(k);
  const float scale = quantize(x, k, q.data());
  for (size_t i = 0; i < round_up(k, 2); ++i) {
    const int16_t wide = i < k ? q[i] : int16_t{0};
    __builtin_memcpy(out + 2 * i, &wide, sizeof wide);
  }
  return scale;
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::kernels {

HWY_EXPORT(panel_cols);
HWY_EXPORT(tile_rows);
HWY_EXPORT(uses_vnni);
HWY_EXPORT(int8_row_bytes);
HWY_EXPORT(matmul_f32);
HWY_EXPORT(matmul_int8);
HWY_EXPORT(quantize);
HWY_EXPORT(set_int8_row);
HWY_EXPORT(epilogue_f32);
HWY_EXPORT(epilogue_int32);

size_t simd_panel_cols() { return HWY_DYNAMIC_DISPATCH(panel_cols)(); }
size_t simd_tile_rows() { return HWY_DYNAMIC_DISPATCH(tile_rows)(); }
bool simd_int8_uses_vnni() { return HWY_DYNAMIC_DISPATCH(uses_vnni)(); }
size_t simd_int8_row_bytes(size_t k) { return HWY_DYNAMIC_DISPATCH(int8_row_bytes)(k); }
void simd_matmul_f32(const MatmulArgs& args) { HWY_DYNAMIC_DISPATCH(matmul_f32)(args); }
void simd_matmul_int8(const MatmulArgs& args) { HWY_DYNAMIC_DISPATCH(matmul_int8)(args); }
float quantize_row(const float* x, size_t k, int8_t* q) {
  return HWY_DYNAMIC_DISPATCH(quantize)(x, k, q);
}
float simd_set_int8_row(const float* x, size_t k, uint8_t* out) {
  return HWY_DYNAMIC_DISPATCH(set_int8_row)(x, k, out);
}
void simd_epilogue_f32(const MatmulArgs& args, const Block& block, const float* acc,
                       size_t stride) {
  HWY_DYNAMIC_DISPATCH(epilogue_f32)(args, block, acc, stride);
}
void simd_epilogue_int32(const MatmulArgs& args, const Block& block, const int32_t* acc,
                         size_t stride) {
  HWY_DYNAMIC_DISPATCH(epilogue_int32)(args, block, acc, stride);
}

}  // namespace akin::kernels
#endif  // HWY_ONCE
