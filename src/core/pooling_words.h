// A pooling in the words that people give: "mean", "cls+mean".
#pragma once

#include <string>
#include <string_view>

#include "core/arch_spec.h"

namespace akin {

// Modes joined by "+". Errors: usage at `where`, naming the known ones.
PoolingSpec pooling_from_words(const std::string& words, std::string_view where);

}  // namespace akin
