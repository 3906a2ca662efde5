#include "nn/torch_positions.h"

#include <ATen/ATen.h>

#include <limits>
#include <vector>

#include "kernels/positions.h"

namespace akin::nn {
namespace {

// j - i for all pairs, int64 [L, L].
at::Tensor distances(int64_t length) {
  const at::Tensor index = at::arange(length, at::kLong);
  return index.unsqueeze(0) - index.unsqueeze(1);
}

at::Tensor copy_of(Mat<float>& table) {
  return at::from_blob(table.data(),
                       {static_cast<int64_t>(table.rows()), static_cast<int64_t>(table.cols())},
                       at::kFloat)
      .clone();
}

}  // namespace

RotaryAngles rotary_angles(int64_t length, int64_t dim, double base) {
  kernels::RotaryTable table =
      kernels::make_rotary_table(static_cast<size_t>(length), static_cast<size_t>(dim), base);
  return {copy_of(table.cosine), copy_of(table.sine)};
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
  kernels::BiasTable table =
      kernels::make_alibi_table(static_cast<size_t>(length), static_cast<size_t>(heads));
  const auto center = static_cast<int64_t>(table.center);
  const at::Tensor by_distance =
      at::from_blob(table.values.data(), {heads, static_cast<int64_t>(table.stride)}, at::kFloat);
  return by_distance.index_select(1, (distances(length) + center).reshape({-1}))
      .view({heads, length, length});
}

at::Tensor relative_bias_rows(int64_t length, int64_t buckets, int64_t max_distance) {
  std::vector<int64_t> rows;
  for (int64_t distance = 1 - length; distance < length; ++distance)
    rows.push_back(kernels::relative_bucket(distance, buckets, max_distance));
  return at::tensor(rows, at::kLong)
      .index_select(0, (distances(length) + (length - 1)).reshape({-1}));
}

at::Tensor window_bias(int64_t length, int64_t window) {
  return at::zeros({length, length}, at::kFloat)
      .masked_fill_(distances(length).abs() > window / 2, -std::numeric_limits<float>::infinity());
}

}  // namespace akin::nn
