// The default schedule of adaptive retrieval (vector_store.h).
#include <algorithm>
#include <optional>

#include "index/vector_store.h"

namespace akin::index {
namespace {

size_t bytes(const CodeSpec& code) { return row_bytes(code.code, code.dims); }

// How many rows a stage must hand on for the best k to be among them, by how much its code loses.
// Measured on sentences under a Matryoshka model (bench/RESULTS.md): a code of integers over all
// dims hardly errs; one bit a dim, or a part of the dims, needs hundreds of rows for one.
size_t enough(const CodeSpec& code, size_t dims, size_t rows, size_t k) {
  if (code.dims == dims && code.code != Code::binary) return 8 * k;
  return std::max(64 * k, std::min(500 * k, rows / 100) + rows / 500);
}

}  // namespace

std::vector<FunnelStage> funnel_schedule(const VectorStoreSpec& spec, size_t rows, size_t k) {
  const CodeSpec full{spec.full, spec.dims};
  std::optional<CodeSpec> shortlist, between;
  for (const CodeSpec& code : spec.extra) {
    if (bytes(code) >= bytes(full)) continue;
    if (!shortlist || bytes(code) < bytes(*shortlist)) shortlist = code;
    if (code.code == Code::int8 && code.dims == spec.dims) between = code;
  }
  std::vector<FunnelStage> out;
  const auto add = [&](const CodeSpec& code) {
    out.push_back({code, std::max(k, std::min(rows, enough(code, spec.dims, rows, k)))});
  };
  if (shortlist) add(*shortlist);
  if (between && *between != *shortlist) add(*between);
  out.push_back({full, k});
  return out;
}

}  // namespace akin::index
