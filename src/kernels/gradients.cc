#include "kernels/gradients.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gradients.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/activation-inl.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// What a row of a norm's input says: its mean (0 for RMS) and 1 / sqrt(mean square + eps).
struct RowScale {
  float mean, inverse;
};

HWY_INLINE RowScale row_scale(const float* x, size_t n, bool centered, float eps) {
  const auto count = static_cast<float>(n);
  float mean = 0;
  if (centered) {
    mean = sum_lanes(n, [&](auto d, size_t i, auto sum)
                            HWY_ATTR { return hn::Add(sum, hn::LoadU(d, x + i)); }) /
           count;
  }
  const float squares = sum_lanes(n, [&](auto d, size_t i, auto sum) HWY_ATTR {
    const auto c = hn::Sub(hn::LoadU(d, x + i), hn::Set(d, mean));
    return hn::MulAdd(c, c, sum);
  });
  return {mean, 1.0F / std::sqrt(squares / count + eps)};
}

// With u = (x - mean) / sigma and g = dy * gamma: dx = (g - mean(g) - u mean(g u)) / sigma; without
// centring the first mean is left out.
void norm_backward_rows(MatView<const float> x, const float* gamma, float eps, bool centered,
                        MatView<const float> dy, MatView<float> dx, float* d_gamma, float* d_beta) {
  const size_t n = x.cols();
  const auto count = static_cast<float>(n);
  for (size_t r = 0; r < x.rows(); ++r) {
    const float* in = x.row(r);
    const float* from = dy.row(r);
    float* to = dx.row(r);
    const RowScale scale = row_scale(in, n, centered, eps);
    const auto unit = [&](auto d, size_t i) HWY_ATTR {
      return hn::Mul(hn::Sub(hn::LoadU(d, in + i), hn::Set(d, scale.mean)),
                     hn::Set(d, scale.inverse));
    };
    float along = sum_lanes(n, [&](auto d, size_t i, auto sum) HWY_ATTR {
      return hn::MulAdd(hn::Mul(hn::LoadU(d, from + i), hn::LoadU(d, gamma + i)), unit(d, i), sum);
    });
    float level = 0;
    if (centered) {
      level = sum_lanes(n, [&](auto d, size_t i, auto sum) HWY_ATTR {
        return hn::MulAdd(hn::LoadU(d, from + i), hn::LoadU(d, gamma + i), sum);
      });
    }
    along /= count;
    level /= count;
    for_lanes(n, [&](auto d, size_t i) HWY_ATTR {
      const auto g = hn::LoadU(d, from + i), u = unit(d, i);
      if (d_gamma != nullptr)
        hn::StoreU(hn::MulAdd(g, u, hn::LoadU(d, d_gamma + i)), d, d_gamma + i);
      if (d_beta != nullptr) hn::StoreU(hn::Add(g, hn::LoadU(d, d_beta + i)), d, d_beta + i);
      const auto flat = hn::Sub(hn::Mul(g, hn::LoadU(d, gamma + i)), hn::Set(d, level));
      hn::StoreU(hn::Mul(hn::NegMulAdd(u, hn::Set(d, along), flat), hn::Set(d, scale.inverse)), d,
                 to + i);
    });
  }
}

// A template argument for the commonest activation, so that its loop has no choices left.
template <Activation kFixed>
void activation_backward_as(MatView<const float> x, Activation activation, MatView<const float> dy,
                            MatView<float> y, MatView<float> dx) {
  const GeluTable& table = gelu_table();
  const GeluTable& slopes = gelu_slope_table();
  for (size_t r = 0; r < x.rows(); ++r) {
    const float* in = x.row(r);
    const float* from = dy.row(r);
    float* to = y.row(r);
    float* gradient = dx.row(r);
    for_padded_lanes(x.cols(), [&](auto d, const auto& at) HWY_ATTR {
      const auto a = activation_slope(
          d, at.load(in), kFixed == Activation::identity ? activation : kFixed, table, slopes);
      const auto g = hn::Mul(at.load(from), a.slope);
      at.store(a.value, to);
      at.store(g, gradient);
    });
  }
}

void activation_backward_rows(MatView<const float> x, Activation activation,
                              MatView<const float> dy, MatView<float> y, MatView<float> dx) {
  if (activation == Activation::gelu_erf)
    return activation_backward_as<Activation::gelu_erf>(x, activation, dy, y, dx);
  activation_backward_as<Activation::identity>(x, activation, dy, y, dx);
}

void gated_backward_rows(MatView<const float> x, Activation activation, MatView<const float> dy,
                         MatView<float> y, MatView<float> dx) {
  const GeluTable& table = gelu_table();
  const GeluTable& slopes = gelu_slope_table();
  const size_t width = x.cols() / 2;
  for (size_t r = 0; r < x.rows(); ++r) {
    const float* gate = x.row(r);
    const float* up = gate + width;
    const float* from = dy.row(r);
    float* to = y.row(r);
    float* gradient = dx.row(r);
    for_padded_lanes(width, [&](auto d, const auto& at) HWY_ATTR {
      const auto a = activation_slope(d, at.load(gate), activation, table, slopes);
      const auto u = at.load(up), g = at.load(from);
      at.store(hn::Mul(a.value, u), to);
      at.store(hn::Mul(hn::Mul(g, u), a.slope), gradient);
      at.store(hn::Mul(g, a.value), gradient + width);
    });
  }
}

void activation_forward_rows(MatView<const float> x, Activation activation, MatView<float> y) {
  const GeluTable& table = gelu_table();
  for (size_t r = 0; r < x.rows(); ++r) {
    const float* in = x.row(r);
    float* to = y.row(r);
    if (activation == Activation::gelu_erf) {
      for_padded_lanes(x.cols(), [&](auto d, const auto& at) HWY_ATTR {
        at.store(gelu_erf_f32(d, at.load(in), table), to);
      });
      continue;
    }
    for_padded_lanes(x.cols(), [&](auto d, const auto& at) HWY_ATTR {
      at.store(activate_f32(d, at.load(in), activation, table), to);
    });
  }
}

// Eight rows at a time: `out` is read and written once for them.
void add_column_sums_rows(MatView<const float> x, float* out) {
  constexpr size_t kRows = 8;
  size_t r = 0;
  for (; r + kRows <= x.rows(); r += kRows) {
    const float* row = x.row(r);
    const size_t stride = x.stride();
    for_lanes(x.cols(), [&](auto d, size_t i) HWY_ATTR {
      auto a = hn::LoadU(d, row + i), b = hn::LoadU(d, row + stride + i);
      for (size_t k = 2; k < kRows; k += 2) {
        a = hn::Add(a, hn::LoadU(d, row + k * stride + i));
        b = hn::Add(b, hn::LoadU(d, row + (k + 1) * stride + i));
      }
      hn::StoreU(hn::Add(hn::LoadU(d, out + i), hn::Add(a, b)), d, out + i);
    });
  }
  for (; r < x.rows(); ++r) {
    const float* row = x.row(r);
    for_lanes(x.cols(), [&](auto d, size_t i) HWY_ATTR {
      hn::StoreU(hn::Add(hn::LoadU(d, out + i), hn::LoadU(d, row + i)), d, out + i);
    });
  }
}

void add_two_rows(const float* a, const float* b, size_t n, float* out) {
  for_lanes(n, [&](auto d, size_t i) HWY_ATTR {
    hn::StoreU(hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
  });
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::kernels {

HWY_EXPORT(norm_backward_rows);
HWY_EXPORT(activation_backward_rows);
HWY_EXPORT(gated_backward_rows);
HWY_EXPORT(activation_forward_rows);
HWY_EXPORT(add_column_sums_rows);
HWY_EXPORT(add_two_rows);

void layer_norm_backward(MatView<const float> x, const float* gamma, float eps,
                         MatView<const float> dy, MatView<float> dx, float* d_gamma,
                         float* d_beta) {
  HWY_DYNAMIC_DISPATCH(norm_backward_rows)(x, gamma, eps, true, dy, dx, d_gamma, d_beta);
}
void rms_norm_backward(MatView<const float> x, const float* gamma, float eps,
                       MatView<const float> dy, MatView<float> dx, float* d_gamma) {
  HWY_DYNAMIC_DISPATCH(norm_backward_rows)(x, gamma, eps, false, dy, dx, d_gamma, nullptr);
}
void activation_forward(MatView<const float> x, Activation activation, MatView<float> y) {
  HWY_DYNAMIC_DISPATCH(activation_forward_rows)(x, activation, y);
}
void activation_backward(MatView<const float> x, Activation activation, MatView<const float> dy,
                         MatView<float> y, MatView<float> dx) {
  HWY_DYNAMIC_DISPATCH(activation_backward_rows)(x, activation, dy, y, dx);
}
void gated_backward(MatView<const float> x, Activation activation, MatView<const float> dy,
                    MatView<float> y, MatView<float> dx) {
  HWY_DYNAMIC_DISPATCH(gated_backward_rows)(x, activation, dy, y, dx);
}
void add_column_sums(MatView<const float> x, float* out) {
  HWY_DYNAMIC_DISPATCH(add_column_sums_rows)(x, out);
}
void add_rows(MatView<const float> a, MatView<const float> b, MatView<float> out) {
  for (size_t r = 0; r < a.rows(); ++r)
    HWY_DYNAMIC_DISPATCH(add_two_rows)(a.row(r), b.row(r), a.cols(), out.row(r));
}
void accumulate(const float* x, size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(add_two_rows)(out, x, n, out);
}

}  // namespace akin::kernels
#endif  // HWY_ONCE
