// The words on the command line for enums of other rooms: found by argument-dependent lookup from
// base/options.h.
#pragma once

#include <span>
#include <string_view>

#include "core/encoder.h"
#include "core/precision_choices.h"
#include "store/text_source.h"

namespace akin {

inline std::span<const std::string_view> choices(Truncate) {
  static constexpr std::string_view kWords[] = {"error", "right", "left", "middle", "chunk"};
  return kWords;
}

namespace store {

inline std::span<const std::string_view> choices(TextFormat) {
  static constexpr std::string_view kWords[] = {"auto", "lines", "jsonl", "tsv", "csv"};
  return kWords;
}

}  // namespace store
}  // namespace akin
