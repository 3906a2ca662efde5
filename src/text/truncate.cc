// See truncate.h.
#include "text/truncate.h"

#include <algorithm>

namespace akin::text {

void cut_ids(std::vector<int32_t>& ids, size_t limit, size_t prefix, size_t suffix, Truncate side) {
  prefix = std::min(prefix, limit);
  suffix = std::min(suffix, limit - prefix);
  const size_t extra = ids.size() - limit;
  const size_t first = side == Truncate::left ? prefix : ids.size() - suffix - extra;
  ids.erase(ids.begin() + static_cast<ptrdiff_t>(first),
            ids.begin() + static_cast<ptrdiff_t>(first + extra));
}

}  // namespace akin::text
