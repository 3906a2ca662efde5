// k-means++ as scikit-learn seeds a mini-batch k-means: a subset of rows, several candidates a
// centre, distances from float64 products rounded to float32. Not for other rooms: see
// mini_batch_kmeans.h.
#pragma once

#include <cstddef>
#include <vector>

#include "base/mat.h"
#include "eval/mini_batch_kmeans.h"
#include "eval/rng.h"

namespace akin::eval {

// The first centres, [K, D]. Draws from rng what the reference draws before its first batch.
Mat<float> start_centres(MatView<const float> x, const KMeansOptions& options, size_t batch_rows,
                         NumpyRandom& rng, ThreadPool& pool);

// cumsum(p) / sum(p) for p = 1/n rounded to float32.
std::vector<double> uniform_cdf(size_t n);

}  // namespace akin::eval
