#include "kernels/positions.h"

#include <cmath>

namespace akin::kernels {
namespace {

constexpr size_t kSlack = 16;  // floats a vector load may read past the last distance

BiasTable empty_table(size_t length, size_t heads) {
  BiasTable table;
  table.center = length - 1;
  table.stride = 2 * length - 1 + kSlack;
  table.values.assign(heads * table.stride + kSlack, 0.0F);
  return table;
}

double power_of_two_slope(size_t heads, size_t index) {
  const double start = std::exp2(-std::exp2(-(std::log2(static_cast<double>(heads)) - 3)));
  return std::pow(start, static_cast<double>(index + 1));
}

double alibi_slope(size_t heads, size_t index) {
  size_t power = 1;
  while (power * 2 <= heads) power *= 2;
  if (index < power) return power_of_two_slope(power, index);
  return power_of_two_slope(2 * power, 2 * (index - power));
}

}  // namespace

RotaryTable make_rotary_table(size_t positions, size_t dim, double base) {
  const size_t half = dim / 2;
  RotaryTable table{Mat<float>(positions, half), Mat<float>(positions, half)};
  for (size_t i = 0; i < half; ++i) {
    const auto frequency = static_cast<float>(
        1.0 / std::pow(base, 2.0 * static_cast<double>(i) / static_cast<double>(dim)));
    for (size_t p = 0; p < positions; ++p) {
      const double angle = static_cast<float>(p) * frequency;
      table.cosine(p, i) = static_cast<float>(std::cos(angle));
      table.sine(p, i) = static_cast<float>(std::sin(angle));
    }
  }
  return table;
}

BiasTable make_alibi_table(size_t length, size_t heads) {
  BiasTable table = empty_table(length, heads);
  for (size_t h = 0; h < heads; ++h) {
    const auto slope = static_cast<float>(alibi_slope(heads, h));
    float* row = table.values.data() + h * table.stride + table.center;
    for (size_t d = 0; d < length; ++d) {
      const float bias = -slope * static_cast<float>(d);
      row[d] = bias;
      *(row - d) = bias;
    }
  }
  return table;
}

int64_t relative_bucket(int64_t distance, int64_t buckets, int64_t max_distance) {
  const int64_t half = buckets / 2, exact = half / 2;
  const int64_t base = distance > 0 ? half : 0;
  const int64_t n = distance < 0 ? -distance : distance;
  if (n < exact) return base + n;
  const float position =
      std::log(static_cast<float>(n) / static_cast<float>(exact)) /
      static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact))) *
      static_cast<float>(half - exact);
  return base + std::min(half - 1, exact + static_cast<int64_t>(position));
}

BiasTable make_relative_table(size_t length, const ArchSpec& arch, MatView<const float> weight) {
  const auto heads = static_cast<size_t>(arch.heads);
  BiasTable table = empty_table(length, heads);
  const auto reach = static_cast<int64_t>(length) - 1;
  for (int64_t distance = -reach; distance <= reach; ++distance) {
    const auto bucket = static_cast<size_t>(
        relative_bucket(distance, arch.relative_buckets, arch.relative_max_distance));
    for (size_t h = 0; h < heads; ++h) {
      table.values[h * table.stride + static_cast<size_t>(reach + distance)] = weight(bucket, h);
    }
  }
  return table;
}

}  // namespace akin::kernels
