#include "nn/torch_positions.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace akin::nn {
namespace {

// |i - j| or j - i for all pairs, int64 [L, L].
at::Tensor distances(int64_t length) {
  const at::Tensor index = at::arange(length, at::kLong);
  return index.unsqueeze(0) - index.unsqueeze(1);
}

// Press et al., arXiv:2108.12409: powers of 2^(-8/n); between powers of two, every second slope of
// the next one.
std::vector<float> alibi_slopes(int64_t heads) {
  const auto slope = [](int64_t n, int64_t i) {
    const double start = std::exp2(-std::exp2(-(std::log2(static_cast<double>(n)) - 3)));
    return static_cast<float>(std::pow(start, static_cast<double>(i + 1)));
  };
  int64_t power = 1;
  while (power * 2 <= heads) power *= 2;
  std::vector<float> out;
  for (int64_t h = 0; h < heads; ++h)
    out.push_back(h < power ? slope(power, h) : slope(2 * power, 2 * (h - power)));
  return out;
}

}  // namespace

RotaryAngles rotary_angles(int64_t length, int64_t dim, double base) {
  const int64_t half = dim / 2;
  RotaryAngles out{at::empty({length, half}, at::kFloat), at::empty({length, half}, at::kFloat)};
  float* cosine = out.cosine.data_ptr<float>();
  float* sine = out.sine.data_ptr<float>();
  for (int64_t p = 0; p < length; ++p) {
    for (int64_t i = 0; i < half; ++i) {
      const auto frequency = static_cast<float>(
          1.0 / std::pow(base, 2.0 * static_cast<double>(i) / static_cast<double>(dim)));
      const double angle = static_cast<float>(p) * frequency;
      *cosine++ = static_cast<float>(std::cos(angle));
      *sine++ = static_cast<float>(std::sin(angle));
    }
  }
  return out;
}

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine,
                  bool interleaved) {
  const int64_t half = cosine.size(-1);
  const at::Tensor turned = x.narrow(-1, 0, 2 * half);
  at::Tensor a, b;
  if (interleaved) {
    const at::Tensor pairs = turned.unflatten(-1, {half, 2});
    a = pairs.select(-1, 0);
    b = pairs.select(-1, 1);
  } else {
    a = turned.narrow(-1, 0, half);
    b = turned.narrow(-1, half, half);
  }
  const at::Tensor c = a * cosine - b * sine, d = b * cosine + a * sine;
  at::Tensor out = interleaved ? at::stack({c, d}, -1).flatten(-2) : at::cat({c, d}, -1);
  const int64_t rest = x.size(-1) - 2 * half;
  return rest == 0 ? out : at::cat({out, x.narrow(-1, 2 * half, rest)}, -1);
}

at::Tensor alibi_bias(int64_t length, int64_t heads) {
  const at::Tensor slopes = at::tensor(alibi_slopes(heads)).view({heads, 1, 1});
  return -slopes * distances(length).abs().to(at::kFloat).unsqueeze(0);
}

// Raffel et al., arXiv:1910.10683: exact near, logarithmic far, one half of the buckets for each
// direction.
at::Tensor relative_bias_rows(int64_t length, int64_t buckets, int64_t max_distance) {
  const int64_t half = buckets / 2, exact = half / 2;
  const auto range =
      static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact)));
  std::vector<int64_t> bucket(static_cast<size_t>(2 * length - 1));
  for (int64_t distance = 1 - length; distance < length; ++distance) {
    const int64_t n = std::abs(distance), base = distance > 0 ? half : 0;
    int64_t row = n;
    if (n >= exact) {
      const float position = std::log(static_cast<float>(n) / static_cast<float>(exact)) / range *
                             static_cast<float>(half - exact);
      row = std::min(half - 1, exact + static_cast<int64_t>(position));
    }
    bucket[static_cast<size_t>(distance + length - 1)] = base + row;
  }
  return at::tensor(bucket, at::kLong)
      .index_select(0, (distances(length) + (length - 1)).reshape({-1}));
}

at::Tensor window_bias(int64_t length, int64_t window) {
  return at::zeros({length, length}, at::kFloat)
      .masked_fill_(distances(length).abs() > window / 2, -std::numeric_limits<float>::infinity());
}

}  // namespace akin::nn
