// The sum of values in the order numpy adds them, for scores that are compared with numpy's to the
// last bit. Not the most exact sum, nor the fastest.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

namespace akin::eval {

// numpy's sum of a contiguous array of T: eight running sums up to 128 values, halves above.
template <typename T>
T numpy_sum(const T* values, size_t n) {
  if (n < 8) {
    T sum = 0;
    for (size_t i = 0; i < n; ++i) sum += values[i];
    return sum;
  }
  if (n > 128) {
    const size_t half = n / 2 - n / 2 % 8;
    return numpy_sum(values, half) + numpy_sum(values + half, n - half);
  }
  std::array<T, 8> r{};
  std::copy_n(values, 8, r.begin());
  size_t i = 8;
  for (; i + 8 <= n; i += 8) {
    for (size_t j = 0; j < 8; ++j) r[j] += values[i + j];
  }
  T sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
  for (; i < n; ++i) sum += values[i];
  return sum;
}

}  // namespace akin::eval
