// See truncate.h.
#include "text/truncate.h"

#include <algorithm>

namespace akin::text {

size_t cut_begin(size_t size, size_t limit, size_t prefix, size_t suffix, Truncate side) {
  prefix = std::min(prefix, limit);
  suffix = std::min(suffix, limit - prefix);
  if (side == Truncate::left) return prefix;
  if (side == Truncate::middle) return prefix + (limit - prefix - suffix + 1) / 2;
  return limit - suffix;
}

void cut_ids(std::vector<int32_t>& ids, size_t limit, size_t prefix, size_t suffix, Truncate side) {
  const size_t extra = ids.size() - limit;
  const auto first =
      ids.begin() + static_cast<ptrdiff_t>(cut_begin(ids.size(), limit, prefix, suffix, side));
  ids.erase(first, first + static_cast<ptrdiff_t>(extra));
}

}  // namespace akin::text
