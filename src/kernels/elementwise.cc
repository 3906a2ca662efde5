#include "kernels/elementwise.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/activation-inl.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
using VF = hn::Vec<DF>;

void layer_norm_rows(MatView<const float> x, const float* gamma, const float* beta, float eps,
                     MatView<float> out) {
  const size_t n = x.cols();
  for (size_t r = 0; r < x.rows(); ++r) {
    const float* in = x.row(r);
    float* to = out.row(r);
    const float mean = sum_row(n, [&](auto d, size_t i, auto sum)
                                      HWY_ATTR { return hn::Add(sum, hn::LoadU(d, in + i)); }) /
                       static_cast<float>(n);
    const float squares = sum_row(n, [&](auto d, size_t i, auto sum) HWY_ATTR {
      const auto c = hn::Sub(hn::LoadU(d, in + i), hn::Set(d, mean));
      return hn::MulAdd(c, c, sum);
    });
    const float inverse = 1.0F / std::sqrt(squares / static_cast<float>(n) + eps);
    map_lanes(n, [&](auto d, size_t i) HWY_ATTR {
      const auto c = hn::Mul(hn::Sub(hn::LoadU(d, in + i), hn::Set(d, mean)), hn::Set(d, inverse));
      const auto scaled = hn::Mul(c, hn::LoadU(d, gamma + i));
      hn::StoreU(beta == nullptr ? scaled : hn::Add(scaled, hn::LoadU(d, beta + i)), d, to + i);
    });
  }
}

void rms_norm_rows(MatView<const float> x, const float* gamma, float eps, MatView<float> out) {
  const size_t n = x.cols();
  for (size_t r = 0; r < x.rows(); ++r) {
    const float* in = x.row(r);
    float* to = out.row(r);
    const float squares = sum_row(n, [&](auto d, size_t i, auto sum) HWY_ATTR {
      const auto v = hn::LoadU(d, in + i);
      return hn::MulAdd(v, v, sum);
    });
    const float inverse = 1.0F / std::sqrt(squares / static_cast<float>(n) + eps);
    map_lanes(n, [&](auto d, size_t i) HWY_ATTR {
      hn::StoreU(
          hn::Mul(hn::Mul(hn::LoadU(d, in + i), hn::Set(d, inverse)), hn::LoadU(d, gamma + i)), d,
          to + i);
    });
  }
}

void add_scaled_row(const float* x, float factor, float* out, size_t n) {
  map_lanes(n, [&](auto d, size_t i) HWY_ATTR {
    hn::StoreU(hn::MulAdd(hn::LoadU(d, x + i), hn::Set(d, factor), hn::LoadU(d, out + i)), d,
               out + i);
  });
}

void multiply_row(float* x, float factor, size_t n) {
  map_lanes(n, [&](auto d, size_t i) HWY_ATTR {
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, factor)), d, x + i);
  });
}

float dot_rows(const float* a, const float* b, size_t n) {
  return sum_lanes(n, [&](auto d, size_t i, auto sum) HWY_ATTR {
    return hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  });
}

void gated_rows(MatView<const float> gate, MatView<const float> up, Activation activation,
                MatView<float> out) {
  const GeluTable& table = gelu_table();
  const DF d;
  const size_t lanes = hn::Lanes(d);
  for (size_t r = 0; r < gate.rows(); ++r) {
    const float* g = gate.row(r);
    const float* u = up.row(r);
    float* to = out.row(r);
    size_t i = 0;
    for (; i + lanes <= gate.cols(); i += lanes) {
      hn::StoreU(
          hn::Mul(activate_f32(d, hn::LoadU(d, g + i), activation, table), hn::LoadU(d, u + i)), d,
          to + i);
    }
    HWY_ALIGN float buffer[16] = {};
    const size_t rest = gate.cols() - i;
    for (size_t j = 0; j < rest; ++j) buffer[j] = g[i + j];
    hn::Store(activate_f32(d, hn::Load(d, buffer), activation, table), d, buffer);
    for (size_t j = 0; j < rest; ++j) to[i + j] = buffer[j] * u[i + j];
  }
}

void activate_row(float* x, size_t n, Activation activation) {
  const GeluTable& table = gelu_table();
  const DF d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(activate_f32(d, hn::LoadU(d, x + i), activation, table), d, x + i);
  HWY_ALIGN float buffer[16] = {};
  for (size_t j = i; j < n; ++j) buffer[j - i] = x[j];
  hn::Store(activate_f32(d, hn::Load(d, buffer), activation, table), d, buffer);
  for (size_t j = i; j < n; ++j) x[j] = buffer[j - i];
}

void rotary_rows(MatView<float> x, size_t heads, size_t head_dim, size_t rotary_dim,
                 bool interleaved, MatView<const float> cosine, MatView<const float> sine) {
  const size_t half = rotary_dim / 2;
  for (size_t t = 0; t < x.rows(); ++t) {
    const float* c = cosine.row(t);
    const float* s = sine.row(t);
    for (size_t h = 0; h < heads; ++h) {
      float* v = x.row(t) + h * head_dim;
      if (interleaved) {
        for (size_t i = 0; i < half; ++i) {
          const float a = v[2 * i], b = v[2 * i + 1];
          v[2 * i] = a * c[i] - b * s[i];
          v[2 * i + 1] = b * c[i] + a * s[i];
        }
        continue;
      }
      for_lanes(half, [&](auto d, size_t i) HWY_ATTR {
        const auto a = hn::LoadU(d, v + i), b = hn::LoadU(d, v + half + i);
        const auto cv = hn::LoadU(d, c + i), sv = hn::LoadU(d, s + i);
        hn::StoreU(hn::Sub(hn::Mul(a, cv), hn::Mul(b, sv)), d, v + i);
        hn::StoreU(hn::Add(hn::Mul(b, cv), hn::Mul(a, sv)), d, v + half + i);
      });
    }
  }
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::kernels {

HWY_EXPORT(layer_norm_rows);
HWY_EXPORT(rms_norm_rows);
HWY_EXPORT(add_scaled_row);
HWY_EXPORT(multiply_row);
HWY_EXPORT(dot_rows);
HWY_EXPORT(gated_rows);
HWY_EXPORT(activate_row);
HWY_EXPORT(rotary_rows);

void layer_norm(MatView<const float> x, const float* gamma, const float* beta, float eps,
                MatView<float> out) {
  HWY_DYNAMIC_DISPATCH(layer_norm_rows)(x, gamma, beta, eps, out);
}
void rms_norm(MatView<const float> x, const float* gamma, float eps, MatView<float> out) {
  HWY_DYNAMIC_DISPATCH(rms_norm_rows)(x, gamma, eps, out);
}
void add_scaled(const float* x, float factor, std::span<float> out) {
  HWY_DYNAMIC_DISPATCH(add_scaled_row)(x, factor, out.data(), out.size());
}
void multiply(std::span<float> x, float factor) {
  HWY_DYNAMIC_DISPATCH(multiply_row)(x.data(), factor, x.size());
}
float dot(const float* a, const float* b, size_t n) {
  return HWY_DYNAMIC_DISPATCH(dot_rows)(a, b, n);
}
void gated(MatView<const float> gate, MatView<const float> up, Activation activation,
           MatView<float> out) {
  HWY_DYNAMIC_DISPATCH(gated_rows)(gate, up, activation, out);
}
void activate(std::span<float> x, Activation activation) {
  HWY_DYNAMIC_DISPATCH(activate_row)(x.data(), x.size(), activation);
}
void rotary(MatView<float> x, size_t heads, size_t head_dim, size_t rotary_dim, bool interleaved,
            MatView<const float> cosine, MatView<const float> sine) {
  HWY_DYNAMIC_DISPATCH(rotary_rows)(x, heads, head_dim, rotary_dim, interleaved, cosine, sine);
}

}  // namespace akin::kernels
#endif  // HWY_ONCE
