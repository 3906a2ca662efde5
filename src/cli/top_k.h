// Exact search: the k rows most alike to a query, by looking at every one. Not an index (see
// index/).
#pragma once

#include <cstddef>
#include <vector>

#include "base/mat.h"
#include "base/threads.h"
#include "cli/similarity_measure.h"

namespace akin::cli {

struct Hit {
  size_t row = 0;
  float score = 0;
};

// Best first; equal scores by lower row. documents: [N, E], query: [E].
std::vector<Hit> top_k(ThreadPool& pool, MatView<const float> documents, const float* query,
                       Measure kind, size_t k);

}  // namespace akin::cli
