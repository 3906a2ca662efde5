// A k-nearest-neighbours vote with Euclidean distance and equal weights, over many binary labels
// at once: scikit-learn's KNeighborsClassifier(n_neighbors = 5) as mteb's multilabel tasks use it.
// Ties: the lower training row is nearer; a label wins with more than half of the votes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/mat.h"

namespace akin {
class ThreadPool;
}

namespace akin::eval {

// For each row of `queries` the k nearest rows of `train`, nearest first, [N, k]. Distances are
// exact to float64. Errors: usage when k is 0 or above the number of training rows, the dims
// differ, or a value is not finite.
Mat<uint32_t> nearest_rows(MatView<const float> train, MatView<const float> queries, size_t k,
                           ThreadPool& pool);

// labels: [training rows, L] of 0 and 1. Returns [N, L].
Mat<uint8_t> vote_multilabel(MatView<const float> train, MatView<const uint8_t> labels,
                             MatView<const float> queries, size_t k, ThreadPool& pool);

}  // namespace akin::eval
