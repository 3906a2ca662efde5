// Highway bodies of nearest.h, one for each instruction set. Rows go in blocks: products with all
// centres, the least of each row, then the distance to it while the rows are still in the cache.
#include "eval/nearest.h"

#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12, inside its AVX-512 headers
#pragma GCC diagnostic ignored "-Wuninitialized"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "eval/nearest.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
// after highway.h
#include <algorithm>
#include <cmath>

#include "eval/dense_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace akin::eval::dense::HWY_NAMESPACE {

using DF = Tag<float>;
constexpr size_t kRows = 4 * kTileRows;  // to a block

// The first index of the least norms[c] - 2 dots[c].
HWY_INLINE int32_t first_least(const float* dots, const float* norms, size_t n) {
  const DF d;
  const hn::RebindToSigned<DF> di;
  const size_t lanes = hn::Lanes(d);
  const auto minus_two = hn::Set(d, -2.0F);
  auto least = hn::Set(d, HUGE_VALF);
  auto at = hn::Zero(di);
  auto index = hn::Iota(di, 0);
  const auto step = hn::Set(di, static_cast<int32_t>(lanes));
  for (size_t c = 0; c < n; c += lanes) {
    const auto v = hn::MulAdd(minus_two, hn::Load(d, dots + c), hn::Load(d, norms + c));
    const auto smaller = hn::Lt(v, least);
    least = hn::IfThenElse(smaller, v, least);
    at = hn::IfThenElse(hn::RebindMask(di, smaller), index, at);
    index = hn::Add(index, step);
  }
  HWY_ALIGN float values[16];
  HWY_ALIGN int32_t places[16];
  hn::Store(least, d, values);
  hn::Store(at, di, places);
  size_t best = 0;
  for (size_t i = 1; i < lanes; ++i) {
    if (values[i] < values[best] || (values[i] == values[best] && places[i] < places[best]))
      best = i;
  }
  return places[best];
}

struct Block {
  const float* x;  // [rows, stride]
  size_t stride, rows;
  const float* const* ahead;  // null, or kRows rows of the next block
};

// Sums of P panels over a piece of the depth, onto those of earlier pieces.
template <size_t P>
HWY_INLINE void add_piece(const Block& block, const float* b, size_t depth, size_t begin,
                          size_t end, bool first, float* dots, size_t width) {
  for (size_t row = 0; row < block.rows; row += kTileRows) {
    const auto* ahead = first && block.ahead != nullptr ? block.ahead + row : nullptr;
    tiles<kTileRows, P>(HWY_MIN(kTileRows, block.rows - row), block.x + row * block.stride + begin,
                        block.stride, b + begin * kPanel, end - begin, depth, begin > 0,
                        dots + row * width, width, ahead, begin);
  }
}

// dots[row][centre], all centres.
HWY_INLINE void multiply_block(const Block& block, size_t depth, const float* b, size_t panels,
                               float* dots) {
  constexpr size_t kDepth = kNearestPiece;  // a piece of two panels fits the L1 cache
  const size_t width = panels * kPanel;
  for (size_t p = 0; p < panels;) {
    const bool pair = p + kPairPanels <= panels;
    const float* panel = b + p * depth * kPanel;
    float* to = dots + p * kPanel;
    for (size_t k = 0; k < depth; k += kDepth) {
      const size_t stop = HWY_MIN(depth, k + kDepth);
      if (pair) {
        add_piece<kPairPanels>(block, panel, depth, k, stop, p == 0, to, width);
      } else {
        add_piece<1>(block, panel, depth, k, stop, p == 0, to, width);
      }
    }
    p += pair ? kPairPanels : 1;
  }
}

#if HWY_TARGET == HWY_SCALAR
// out[r] = the squared distance of a[r] and b[r], four squares at a time, for four rows.
void squared_distances(const float* const (&a)[4], const float* const (&b)[4], size_t n,
                       float* out) {
  for (size_t r = 0; r < 4; ++r) {
    const auto square = [&](size_t k) { return (a[r][k] - b[r][k]) * (a[r][k] - b[r][k]); };
    size_t k = 0;
    out[r] = 0;
    for (; k + 4 <= n; k += 4)
      out[r] += ((square(k) + square(k + 1)) + square(k + 2)) + square(k + 3);
    for (; k < n; ++k) out[r] += square(k);
  }
}
#else
// Four rows transposed: s[j] holds the j-th value of each group of four columns, rows side by side.
template <class D, class V>
HWY_INLINE void transpose_groups(D d, V q0, V q1, V q2, V q3, V (&s)[4]) {
  const hn::Repartition<double, D> d2;
  const auto low01 = hn::BitCast(d2, hn::InterleaveLower(d, q0, q1));
  const auto low23 = hn::BitCast(d2, hn::InterleaveLower(d, q2, q3));
  const auto high01 = hn::BitCast(d2, hn::InterleaveUpper(d, q0, q1));
  const auto high23 = hn::BitCast(d2, hn::InterleaveUpper(d, q2, q3));
  s[0] = hn::BitCast(d, hn::InterleaveLower(d2, low01, low23));
  s[1] = hn::BitCast(d, hn::InterleaveUpper(d2, low01, low23));
  s[2] = hn::BitCast(d, hn::InterleaveLower(d2, high01, high23));
  s[3] = hn::BitCast(d, hn::InterleaveUpper(d2, high01, high23));
}

// The squares of (a - b) at four rows, transposed; the sums of the groups are added to acc one
// after another.
template <class D, class D4, class V4>
HWY_INLINE V4 add_groups(D d, D4 d4, const float* const (&a)[4], const float* const (&b)[4],
                         size_t at, V4 acc) {
  using V = hn::Vec<D>;
  const auto square = [&](size_t r) HWY_ATTR {
    const auto gap = hn::Sub(hn::LoadU(d, a[r] + at), hn::LoadU(d, b[r] + at));
    return hn::Mul(gap, gap);
  };
  V s[4];
  transpose_groups(d, square(0), square(1), square(2), square(3), s);
  HWY_ALIGN float groups[16];
  hn::Store(hn::Add(hn::Add(hn::Add(s[0], s[1]), s[2]), s[3]), d, groups);
  for (size_t g = 0; g < hn::Lanes(d); g += 4) acc = hn::Add(acc, hn::Load(d4, groups + g));
  return acc;
}

// out[r] = the squared distance of a[r] and b[r], four squares at a time, for four rows.
HWY_INLINE void squared_distances(const float* const (&a)[4], const float* const (&b)[4], size_t n,
                                  float* out) {
  const DF d;
  const hn::CappedTag<float, 4> d4;
  const size_t lanes = hn::Lanes(d);
  auto acc = hn::Zero(d4);
  size_t k = 0;
  for (; k + lanes <= n; k += lanes) acc = add_groups(d, d4, a, b, k, acc);
  for (; k + 4 <= n; k += 4) acc = add_groups(d4, d4, a, b, k, acc);
  hn::StoreU(acc, d4, out);
  for (; k < n; ++k) {
    for (size_t r = 0; r < 4; ++r) out[r] += (a[r][k] - b[r][k]) * (a[r][k] - b[r][k]);
  }
}
#endif

// The distance of each row to the centre of its label.
HWY_INLINE void measure_block(const Block& block, const MatView<const float>& centres,
                              const int32_t* labels, float* distances) {
  constexpr size_t kLine = kAlignment / sizeof(float);
  const size_t depth = centres.cols();
  for (size_t row = 0; row < block.rows; row += 4) {
    const size_t rows = HWY_MIN(size_t{4}, block.rows - row);
    const float* a[4];
    const float* b[4];
    for (size_t r = 0; r < 4; ++r) {
      const size_t from = row + HWY_MIN(r, rows - 1);
      a[r] = block.x + from * block.stride;
      b[r] = centres.row(static_cast<size_t>(labels[from]));
      for (size_t k = 0; block.ahead != nullptr && k < depth; k += kLine)
        __builtin_prefetch(block.ahead[from] + k, 0, 2);
    }
    float out[4];
    squared_distances(a, b, depth, out);
    std::copy_n(out, rows, distances + row);
  }
}

HWY_INLINE void label_block(const Block& block, const CentreView& centres, size_t panels,
                            float* dots, int32_t* labels, float* distances) {
  const size_t depth = centres.rows.cols(), width = panels * kPanel;
  multiply_block(block, depth, centres.packed, panels, dots);
  for (size_t r = 0; r < block.rows; ++r) {
    labels[r] = first_least(dots + r * width, centres.norms, width);
  }
  const Block measured{block.x, block.stride, block.rows, nullptr};
  measure_block(measured, centres.rows, labels, distances);
}

float* room_for_dots(size_t panels) {
  thread_local AlignedArray<float> dots;
  dots.ensure(kRows * panels * kPanel);
  return dots.data();
}

void nearest(const MatView<const float>& x, size_t begin, size_t end, const CentreView& centres,
             int32_t* labels, float* distances) {
  const size_t panels = panels_of(centres.rows.rows());
  float* dots = room_for_dots(panels);
  for (size_t row = begin; row < end; row += kRows) {
    const Block block{x.row(row), x.stride(), HWY_MIN(kRows, end - row), nullptr};
    label_block(block, centres, panels, dots, labels + row, distances + row);
  }
}

void nearest_drawn(const MatView<const float>& x, const size_t* drawn, size_t begin, size_t end,
                   const CentreView& centres, int32_t* labels, float* distances) {
  constexpr size_t kLine = kAlignment / sizeof(float);
  const size_t panels = panels_of(centres.rows.rows()), depth = x.cols();
  float* dots = room_for_dots(panels);
  thread_local AlignedArray<float> copies;
  copies.ensure(kRows * depth);
  const float* ahead[kRows];
  for (size_t row = begin; row < end; row += kRows) {
    const size_t rows = HWY_MIN(kRows, end - row);
    for (size_t r = row; r < row + rows; ++r) {
      if (row == begin && r + 1 < row + rows) {  // nothing has asked for these yet
        const float* next = x.row(drawn[r + 1]);
        for (size_t k = 0; k < depth; k += kLine) __builtin_prefetch(next + k);
      }
      std::copy_n(x.row(drawn[r]), depth, copies.data() + (r - row) * depth);
    }
    const bool more = row + kRows < end;
    for (size_t r = 0; more && r < kRows; ++r) {
      ahead[r] = x.row(drawn[HWY_MIN(row + kRows + r, end - 1)]);
    }
    const Block block{copies.data(), depth, rows, more ? ahead : nullptr};
    label_block(block, centres, panels, dots, labels + row, distances + row);
  }
}

void distances_to(const MatView<const float>& x, size_t begin, size_t end,
                  const MatView<const float>& centres, const float* const* ahead,
                  const int32_t* labels, float* distances) {
  const Block block{x.row(begin), x.stride(), end - begin, ahead};
  measure_block(block, centres, labels + begin, distances + begin);
}

size_t contenders(const float* dots, const float* norms, size_t n, float margin, uint32_t* out) {
  const DF d;
  const hn::RebindToUnsigned<DF> du;
  const size_t lanes = hn::Lanes(d);
  const auto minus_two = hn::Set(d, -2.0F);
  auto least = hn::Set(d, HUGE_VALF);
  for (size_t c = 0; c < n; c += lanes) {
    const auto v = hn::MulAdd(minus_two, hn::LoadU(d, dots + c), hn::LoadU(d, norms + c));
    least = hn::Min(least, v);
  }
  const auto limit = hn::Add(hn::MinOfLanes(d, least), hn::Set(d, margin));
  size_t count = 0;
  for (size_t c = 0; c < n; c += lanes) {
    const auto v = hn::MulAdd(minus_two, hn::LoadU(d, dots + c), hn::LoadU(d, norms + c));
    const auto near = hn::RebindMask(du, hn::Le(v, limit));
    if (hn::AllFalse(du, near)) continue;  // most are
    hn::StoreU(hn::Compress(hn::Iota(du, static_cast<uint32_t>(c)), near), du, out + count);
    count += hn::CountTrue(du, near);
  }
  return count;
}

size_t undecided(const float* dots, const float* norms, const float* nearest, size_t n, float norm,
                 float margin, uint32_t first, uint32_t* out, Span& sums) {
  const DF d;
  const hn::RebindToUnsigned<DF> du;
  const size_t lanes = hn::Lanes(d);
  const auto minus_two = hn::Set(d, -2.0F), own = hn::Set(d, norm), gap = hn::Set(d, margin);
  const auto zero = hn::Zero(d);
  auto least = zero, most = zero;
  size_t count = 0, r = 0;
  for (; r + lanes <= n; r += lanes) {
    const auto both = hn::Add(own, hn::LoadU(d, norms + r));
    const auto v = hn::MulAdd(minus_two, hn::LoadU(d, dots + r), both);
    const auto now = hn::LoadU(d, nearest + r), lower = hn::Max(hn::Sub(v, gap), zero);
    least = hn::Add(least, hn::Min(now, lower));
    most = hn::Add(most, hn::Min(now, hn::Max(hn::Add(v, gap), zero)));
    const auto open = hn::RebindMask(du, hn::Lt(lower, now));
    hn::StoreU(hn::Compress(hn::Iota(du, first + static_cast<uint32_t>(r)), open), du, out + count);
    count += hn::CountTrue(du, open);
  }
  sums.least += double{hn::GetLane(hn::SumOfLanes(d, least))};
  sums.most += double{hn::GetLane(hn::SumOfLanes(d, most))};
  for (; r < n; ++r) {
    const float v = -2 * dots[r] + (norm + norms[r]);
    const float lower = std::max(v - margin, 0.0F), upper = std::max(v + margin, 0.0F);
    sums.least += std::min(nearest[r], lower);
    sums.most += std::min(nearest[r], upper);
    out[count] = first + static_cast<uint32_t>(r);
    count += lower < nearest[r] ? 1 : 0;
  }
  return count;
}

#if HWY_TARGET == HWY_SCALAR
void squared_norms(const MatView<const float>& rows, float* out) {
  for (size_t r = 0; r < rows.rows(); ++r) {
    out[r] = 0;
    for (size_t k = 0; k < rows.cols(); ++k) out[r] += rows(r, k) * rows(r, k);
  }
}
#else
// Four rows side by side in lanes, and four such groups, because a sum waits for the one before.
void squared_norms(const MatView<const float>& rows, float* out) {
  constexpr size_t kGroups = 4, kEach = 4 * kGroups;
  const hn::CappedTag<float, 4> d;
  for (size_t row = 0; row < rows.rows(); row += kEach) {
    const float* from[kEach];
    for (size_t r = 0; r < kEach; ++r) from[r] = rows.row(HWY_MIN(row + r, rows.rows() - 1));
    hn::Vec<decltype(d)> sums[kGroups];
    for (auto& sum : sums) sum = hn::Zero(d);
    size_t k = 0;
    for (; k + 4 <= rows.cols(); k += 4) {
      for (size_t g = 0; g < kGroups; ++g) {
        const auto square = [&](size_t r) HWY_ATTR {
          const auto v = hn::LoadU(d, from[4 * g + r] + k);
          return hn::Mul(v, v);
        };
        hn::Vec<decltype(d)> s[4];
        transpose_groups(d, square(0), square(1), square(2), square(3), s);
        for (const auto& part : s) sums[g] = hn::Add(sums[g], part);
      }
    }
    float norms[kEach];
    for (size_t g = 0; g < kGroups; ++g) hn::StoreU(sums[g], d, norms + 4 * g);
    for (; k < rows.cols(); ++k) {
      for (size_t r = 0; r < kEach; ++r) norms[r] += from[r][k] * from[r][k];
    }
    std::copy_n(norms, HWY_MIN(kEach, rows.rows() - row), out + row);
  }
}
#endif

void add(float* y, const float* x, size_t n) {
  const DF d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(hn::Add(hn::LoadU(d, y + i), hn::LoadU(d, x + i)), d, y + i);
  for (; i < n; ++i) y[i] += x[i];
}

}  // namespace akin::eval::dense::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::eval::dense {
namespace {
HWY_EXPORT(nearest);
HWY_EXPORT(nearest_drawn);
HWY_EXPORT(distances_to);
HWY_EXPORT(contenders);
HWY_EXPORT(undecided);
HWY_EXPORT(squared_norms);
HWY_EXPORT(add);
}  // namespace

void nearest(MatView<const float> x, size_t begin, size_t end, const CentreView& centres,
             int32_t* labels, float* distances) {
  HWY_DYNAMIC_DISPATCH(nearest)(x, begin, end, centres, labels, distances);
}

void nearest_drawn(MatView<const float> x, const size_t* drawn, size_t begin, size_t end,
                   const CentreView& centres, int32_t* labels, float* distances) {
  HWY_DYNAMIC_DISPATCH(nearest_drawn)(x, drawn, begin, end, centres, labels, distances);
}

void distances_to(MatView<const float> x, size_t begin, size_t end, MatView<const float> centres,
                  const float* const* ahead, const int32_t* labels, float* distances) {
  HWY_DYNAMIC_DISPATCH(distances_to)(x, begin, end, centres, ahead, labels, distances);
}

size_t contenders(const float* dots, const float* norms, size_t n, float margin, uint32_t* out) {
  return HWY_DYNAMIC_DISPATCH(contenders)(dots, norms, n, margin, out);
}

size_t undecided(const float* dots, const float* norms, const float* nearest, size_t n, float norm,
                 float margin, uint32_t first, uint32_t* out, Span& sums) {
  return HWY_DYNAMIC_DISPATCH(undecided)(dots, norms, nearest, n, norm, margin, first, out, sums);
}

void squared_norms(MatView<const float> rows, float* out) {
  HWY_DYNAMIC_DISPATCH(squared_norms)(rows, out);
}

void add(float* y, const float* x, size_t n) { HWY_DYNAMIC_DISPATCH(add)(y, x, n); }

}  // namespace akin::eval::dense
#endif
