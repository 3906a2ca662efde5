// The tile under dense.cc and nearest.cc: a few rows of a row-major matrix times one packed panel
// or two (dense.h has the layout), sums in registers over the whole depth. Included once for each
// instruction set; not a header for anyone else.
#if defined(AKIN_EVAL_DENSE_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AKIN_EVAL_DENSE_TILE_INL_H_
#undef AKIN_EVAL_DENSE_TILE_INL_H_
#else
#define AKIN_EVAL_DENSE_TILE_INL_H_
#endif

#include <hwy/highway.h>

#include "eval/dense.h"

HWY_BEFORE_NAMESPACE();
namespace akin::eval::dense::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
using Tag = hn::CappedTag<T, 64 / sizeof(T)>;

#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr size_t kTileRows = 12;   // 24 sums of 32 registers
constexpr size_t kPairPanels = 2;  // of float32 panels, one register wide
#elif HWY_TARGET == HWY_AVX2
constexpr size_t kTileRows = 3;  // 12 of 16
constexpr size_t kPairPanels = 2;
#else
constexpr size_t kTileRows = 1;
constexpr size_t kPairPanels = 1;
#endif

// Vectors of a panel.
template <typename T>
constexpr size_t panel_vectors() {
  return kPanel / hn::MaxLanes(Tag<T>());
}

// One vector of the right side, which may be narrower than the sums.
template <typename T, typename B>
HWY_INLINE hn::Vec<Tag<T>> load_right(const B* from) {
  const Tag<T> d;
  if constexpr (sizeof(B) == sizeof(T)) {
    return hn::LoadU(d, from);
  } else {
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<B, Tag<T>>(), from));
  }
}

// out[r] (P panels wide) = a[r, 0..depth) * P panels, or += that, for R rows. `whole` is the depth
// of the packed matrix, of which `depth` may be a piece. ahead: null, or R rows that are wanted
// soon: the same piece of them is asked for from memory.
template <size_t R, size_t P, typename T, typename B>
HWY_INLINE void tile(const T* a, size_t a_stride, const B* panel, size_t depth, size_t whole,
                     bool add, T* out, size_t out_stride, const T* const* ahead, size_t at) {
  constexpr size_t kLine = kAlignment / sizeof(T);
  const Tag<T> d;
  constexpr size_t kEach = panel_vectors<T>(), kVectors = P * kEach;
  const size_t lanes = hn::Lanes(d);
  hn::Vec<Tag<T>> acc[R][kVectors];
  for (size_t r = 0; r < R; ++r) {
    for (size_t v = 0; v < kVectors; ++v) acc[r][v] = hn::Zero(d);
  }
  for (size_t k = 0; k < depth; ++k) {
    if (ahead != nullptr && k % kLine == 0) {
      for (size_t r = 0; r < R; ++r) __builtin_prefetch(ahead[r] + at + k, 0, 2);
    }
    hn::Vec<Tag<T>> b[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      b[v] = load_right<T>(panel + v / kEach * whole * kPanel + k * kPanel + v % kEach * lanes);
    }
    for (size_t r = 0; r < R; ++r) {
      const auto x = hn::Set(d, a[r * a_stride + k]);
      for (size_t v = 0; v < kVectors; ++v) acc[r][v] = hn::MulAdd(x, b[v], acc[r][v]);
    }
  }
  for (size_t r = 0; r < R; ++r) {
    for (size_t v = 0; v < kVectors; ++v) {
      T* to = out + r * out_stride + v * lanes;
      hn::StoreU(add ? hn::Add(acc[r][v], hn::LoadU(d, to)) : acc[r][v], d, to);
    }
  }
}

template <size_t R, size_t P, typename T, typename B>
HWY_INLINE void tiles(size_t rows, const T* a, size_t a_stride, const B* panel, size_t depth,
                      size_t whole, bool add, T* out, size_t out_stride,
                      const T* const* ahead = nullptr, size_t at = 0) {
  if (rows == R) {
    tile<R, P, T, B>(a, a_stride, panel, depth, whole, add, out, out_stride, ahead, at);
  } else if constexpr (R > 1) {
    tiles<R - 1, P, T, B>(rows, a, a_stride, panel, depth, whole, add, out, out_stride, ahead, at);
  }
}

}  // namespace akin::eval::dense::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // once for each instruction set
