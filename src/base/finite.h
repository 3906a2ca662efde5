// Whether numbers are numbers. Where it is hot, over whole collections: index/flat_select.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

namespace akin {

inline bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

}  // namespace akin
