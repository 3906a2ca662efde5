// The words for Precision among options: found by argument-dependent lookup from base/options.h.
#pragma once

#include <span>
#include <string_view>

#include "core/encoder.h"

namespace akin {

inline std::span<const std::string_view> choices(Precision) {
  static constexpr std::string_view kWords[] = {"f32", "int8"};
  return kWords;
}

}  // namespace akin
