#include "mine/select.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/rng.h"

namespace akin::mine {

std::span<const std::string_view> choices(Sampling) {
  static constexpr std::array<std::string_view, 4> kNames = {"top", "random", "stratified",
                                                             "corpus"};
  return kNames;
}

std::vector<uint32_t> select(Sampling sampling, size_t from, size_t count, uint64_t seed) {
  std::vector<uint32_t> out;
  if (sampling == Sampling::corpus) return out;
  if (from <= count || sampling == Sampling::top) {
    out.resize(std::min(from, count));
    std::iota(out.begin(), out.end(), 0U);
    return out;
  }
  Rng rng(seed);
  if (sampling == Sampling::stratified) {
    for (size_t i = 0; i < count; ++i) {
      const size_t begin = i * from / count, end = (i + 1) * from / count;
      out.push_back(static_cast<uint32_t>(begin + rng.below(end - begin)));
    }
    return out;
  }
  // The first `count` places of a shuffle.
  std::vector<uint32_t> numbers(from);
  std::iota(numbers.begin(), numbers.end(), 0U);
  for (size_t i = 0; i < count; ++i) std::swap(numbers[i], numbers[i + rng.below(from - i)]);
  out.assign(numbers.begin(), numbers.begin() + static_cast<ptrdiff_t>(count));
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace akin::mine
