// Highway bodies of dense.h, one for each instruction set.
#include "eval/dense.h"

#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12, inside its AVX-512 headers
#pragma GCC diagnostic ignored "-Wuninitialized"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "eval/dense.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
// after highway.h
#include <hwy/contrib/math/math-inl.h>
// after highway.h
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/threads.h"
#include "eval/dense_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace akin::eval::dense::HWY_NAMESPACE {

using DD = Tag<double>;
using VD = hn::Vec<DD>;

void multiply(const double* a, size_t a_stride, size_t depth, size_t begin, size_t end,
              const double* b, size_t panels, double* out, size_t out_rows) {
  for (size_t row = begin; row < end; row += kTileRows) {
    const size_t rows = HWY_MIN(kTileRows, end - row);
    for (size_t p = 0; p < panels; ++p) {
      tiles<kTileRows, 1>(rows, a + row * a_stride, a_stride, b + p * depth * kPanel, depth, depth,
                          false, out + (p * out_rows + row) * kPanel, kPanel);
    }
  }
}

void multiply_wide(const double* a, size_t a_stride, size_t rows, size_t depth, const float* b,
                   size_t begin, size_t end, double* out, size_t out_stride) {
  for (size_t p = begin; p < end; ++p) {
    for (size_t row = 0; row < rows; row += kTileRows) {
      tiles<kTileRows, 1>(HWY_MIN(kTileRows, rows - row), a + row * a_stride, a_stride,
                          b + p * depth * kPanel, depth, depth, false,
                          out + row * out_stride + p * kPanel, out_stride);
    }
  }
}

// Calls f(offset, mask) for the vectors of one row of a packed matrix; the mask leaves out padding.
template <class F>
HWY_INLINE void for_row(size_t row, size_t rows, size_t columns, const F& f) {
  const DD d;
  const size_t lanes = hn::Lanes(d);
  for (size_t c = 0; c < columns; c += lanes) {
    const size_t at = (c / kPanel * rows + row) * kPanel + c % kPanel;
    f(at, hn::FirstN(d, columns - c));
  }
}

void softmax(const SoftmaxArgs& args, size_t begin, size_t end) {
  const DD d;
  const VD step = hn::Set(d, args.step), least = hn::Set(d, -HUGE_VAL);
  for (size_t row = begin; row < end; ++row) {
    const auto target = static_cast<size_t>(args.y[row]);
    const size_t own = (target / kPanel * args.rows + row) * kPanel + target % kPanel;
    const double own_raw = args.raw[own] + args.step * args.direction[own];
    VD top = least;
    for_row(row, args.rows, args.classes, [&](size_t at, auto mask) HWY_ATTR {
      const VD z = hn::MulAdd(step, hn::Load(d, args.direction + at), hn::Load(d, args.raw + at));
      hn::Store(z, d, args.gradient + at);
      top = hn::Max(top, hn::IfThenElse(mask, z, least));
    });
    top = hn::MaxOfLanes(d, top);
    VD sums = hn::Zero(d), slopes = hn::Zero(d);
    for_row(row, args.rows, args.classes, [&](size_t at, auto mask) HWY_ATTR {
      const VD z = hn::Sub(hn::Load(d, args.gradient + at), top);
      const VD e = hn::IfThenElseZero(mask, hn::Exp(d, z));
      hn::Store(e, d, args.gradient + at);
      sums = hn::Add(sums, e);
      slopes = hn::MulAdd(e, hn::Load(d, args.direction + at), slopes);
    });
    const double sum = hn::GetLane(hn::SumOfLanes(d, sums));
    const double slope = hn::GetLane(hn::SumOfLanes(d, slopes)) / sum;
    args.losses[row] = std::log(sum) + hn::GetLane(top) - own_raw;
    args.slopes[row] = slope - args.direction[own];
    const VD factor = hn::Set(d, args.scale / sum);
    for_row(row, args.rows, args.classes, [&](size_t at, auto) HWY_ATTR {
      hn::Store(hn::Mul(hn::Load(d, args.gradient + at), factor), d, args.gradient + at);
    });
    args.gradient[own] -= args.scale;
  }
}

// sum over i of f(vector at i): four running vectors, then single lanes.
template <class F>
HWY_INLINE double sum_lanes(size_t n, const F& f) {
  const DD d;
  const size_t lanes = hn::Lanes(d);
  VD s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    s0 = f(d, i, s0);
    s1 = f(d, i + lanes, s1);
    s2 = f(d, i + 2 * lanes, s2);
    s3 = f(d, i + 3 * lanes, s3);
  }
  for (; i + lanes <= n; i += lanes) s0 = f(d, i, s0);
  const hn::CappedTag<double, 1> one;
  auto rest = hn::Zero(one);
  for (; i < n; ++i) rest = f(one, i, rest);
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)))) +
         hn::GetLane(rest);
}

double dot(const double* a, const double* b, size_t n) {
  return sum_lanes(n, [=](auto d, size_t i, auto sum) HWY_ATTR {
    return hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  });
}

TwoDots dot_two(const double* a, const double* x, const double* y, size_t n) {
  constexpr size_t kBlock = 1024;  // of a, which stays in the first cache for its second use
  TwoDots out{0, 0};
  for (size_t i = 0; i < n; i += kBlock) {
    const size_t count = HWY_MIN(kBlock, n - i);
    out.x += dot(a + i, x + i, count);
    out.y += dot(a + i, y + i, count);
  }
  return out;
}

void add_scaled(double* y, double factor, const double* x, size_t n) {
  const DD d;
  const size_t lanes = hn::Lanes(d);
  const VD f = hn::Set(d, factor);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(hn::MulAdd(f, hn::LoadU(d, x + i), hn::LoadU(d, y + i)), d, y + i);
  for (; i < n; ++i) y[i] = std::fma(factor, x[i], y[i]);
}

double max_abs(const double* x, size_t n) {
  const DD d;
  const size_t lanes = hn::Lanes(d);
  VD most = hn::Zero(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) most = hn::Max(most, hn::Abs(hn::LoadU(d, x + i)));
  double value = hn::GetLane(hn::MaxOfLanes(d, most));
  for (; i < n; ++i) value = HWY_MAX(value, std::abs(x[i]));
  return value;
}

}  // namespace akin::eval::dense::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::eval::dense {
namespace {
HWY_EXPORT(multiply);
HWY_EXPORT(multiply_wide);
HWY_EXPORT(softmax);
HWY_EXPORT(dot);
HWY_EXPORT(dot_two);
HWY_EXPORT(add_scaled);
HWY_EXPORT(max_abs);

// log(1 + exp(x)) without overflow.
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

}  // namespace

void multiply(MatView<const double> a, size_t begin, size_t end, const double* b, size_t panels,
              double* out, size_t out_rows) {
  HWY_DYNAMIC_DISPATCH(multiply)
  (a.data(), a.stride(), a.cols(), begin, end, b, panels, out, out_rows);
}

void multiply_wide(MatView<const double> a, const float* b, size_t begin, size_t end,
                   MatView<double> out) {
  HWY_DYNAMIC_DISPATCH(multiply_wide)
  (a.data(), a.stride(), a.rows(), a.cols(), b, begin, end, out.data(), out.stride());
}

void softmax(const SoftmaxArgs& args, size_t begin, size_t end) {
  HWY_DYNAMIC_DISPATCH(softmax)(args, begin, end);
}

void sigmoid(const SoftmaxArgs& args, size_t begin, size_t end) {
  for (size_t row = begin; row < end; ++row) {
    const size_t at = row * kPanel;
    const double z = args.raw[at] + args.step * args.direction[at];
    const double e = std::exp(-std::abs(z));
    const double p = z >= 0 ? 1 / (1 + e) : e / (1 + e);
    const bool positive = args.y[row] != 0;
    // p - 1 as -(1 - p), without cancellation
    const double residual = positive ? -(z >= 0 ? e / (1 + e) : 1 / (1 + e)) : p;
    std::fill_n(args.gradient + at, kPanel, 0.0);
    args.gradient[at] = residual * args.scale;
    args.losses[row] = softplus(positive ? -z : z);
    args.slopes[row] = residual * args.direction[at];
  }
}

double dot(const double* a, const double* b, size_t n) {
  return HWY_DYNAMIC_DISPATCH(dot)(a, b, n);
}
TwoDots dot_two(const double* a, const double* x, const double* y, size_t n) {
  return HWY_DYNAMIC_DISPATCH(dot_two)(a, x, y, n);
}
void add_scaled(double* y, double factor, const double* x, size_t n) {
  HWY_DYNAMIC_DISPATCH(add_scaled)(y, factor, x, n);
}
double max_abs(const double* x, size_t n) { return HWY_DYNAMIC_DISPATCH(max_abs)(x, n); }

void for_blocks(ThreadPool* pool, size_t count, size_t grain,
                const std::function<void(size_t begin, size_t end)>& f) {
  const size_t blocks = (count + grain - 1) / grain;
  const auto one = [&](size_t b) { f(b * grain, std::min(count, (b + 1) * grain)); };
  if (pool == nullptr || blocks < 2) {
    for (size_t b = 0; b < blocks; ++b) one(b);
    return;
  }
  parallel_for(*pool, blocks, 1, [&](size_t b, size_t) { one(b); });
}

}  // namespace akin::eval::dense
#endif
