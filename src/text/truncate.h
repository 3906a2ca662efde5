// Cutting token ids to a limit without losing the special tokens at either end. Whether a text may
// be cut is the caller's decision.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/encoder.h"

namespace akin::text {

// Cuts ids to `limit`, keeping `prefix` special tokens in front and `suffix` behind. ids.size() >
// limit.
void cut_ids(std::vector<int32_t>& ids, size_t limit, size_t prefix, size_t suffix, Truncate side);

}  // namespace akin::text
