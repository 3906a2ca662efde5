// Which of the candidates that pass become a row's negatives.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace akin::mine {

enum class Sampling : uint8_t {
  top,         // the best ranked
  random,      // any of the window
  stratified,  // one from each of as many equal stretches of the window
  corpus,      // any of the whole corpus, unsearched: the baseline
};
std::span<const std::string_view> choices(Sampling);

// `count` of 0 .. from - 1, rising; all, where there are not more. Depends on the seed alone.
std::vector<uint32_t> select(Sampling sampling, size_t from, size_t count, uint64_t seed);

}  // namespace akin::mine
