// Cutting token ids to a limit without losing the special tokens at either end. Whether a text may
// be cut is the caller's decision.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/encoder.h"

namespace akin::text {

// The first of the size - limit tokens that go, where `prefix` special tokens in front and `suffix`
// behind stay. size > limit; side: right, left or middle.
size_t cut_begin(size_t size, size_t limit, size_t prefix, size_t suffix, Truncate side);

// Cuts ids to `limit`.
void cut_ids(std::vector<int32_t>& ids, size_t limit, size_t prefix, size_t suffix, Truncate side);

}  // namespace akin::text
