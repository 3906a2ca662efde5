// The default schedule of adaptive retrieval (vector_store.h).
#include <algorithm>

#include "index/vector_store.h"

namespace akin::index {

std::vector<FunnelStage> funnel_schedule(const VectorStoreSpec& spec, size_t rows, size_t k) {
  std::vector<CodeSpec> codes = spec.extra;
  std::sort(codes.begin(), codes.end(), [](const CodeSpec& a, const CodeSpec& b) {
    return row_bytes(a.code, a.dims) < row_bytes(b.code, b.dims);
  });
  codes.push_back({spec.full, spec.dims});
  std::vector<FunnelStage> out;
  size_t keep = k;
  for (auto code = codes.rbegin(); code != codes.rend(); ++code) {
    out.insert(out.begin(), FunnelStage{*code, std::min(std::max<size_t>(rows, 1), keep)});
    keep *= 8;
  }
  return out;
}

}  // namespace akin::index
