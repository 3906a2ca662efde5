// Mini-batch k-means (Sculley, WWW 2010; k-means++ of Arthur and Vassilvitskii, SODA 2007) with the
// random stream, order of operations and float32 rounding of scikit-learn's MiniBatchKMeans
// (n_init = 1, init = k-means++), because V-measures move by half a point when the stream does.
//
// Shapes: N rows, D features, K clusters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/mat.h"

namespace akin {
class ThreadPool;
}

namespace akin::eval {

// How scikit-learn's releases draw: the first centre, and the rows of a batch.
enum class KMeansRegime : uint8_t {
  randint,        // <= 1.2: first centre randint, batches randint
  choice_centre,  // >= 1.3: first centre choice(p = 1/m), batches randint
  choice_batch,   // newest: first centre choice, batches choice(p = float32 1/n)
};

struct KMeansOptions {
  size_t clusters = 8;
  size_t batch_rows = 500;
  uint32_t seed = 42;
  KMeansRegime regime = KMeansRegime::choice_centre;
  size_t max_iterations = 100;     // passes over the data: steps = max_iterations * N / batch
  size_t max_no_improvement = 10;  // batches without a better smoothed inertia; 0: never stop
  double reassignment_ratio = 0.01;
};

struct KMeansResult {
  std::vector<int32_t> labels;  // [N], nearest final centre
  Mat<float> centres;           // [K, D]
  double inertia = 0;           // sum over N of the squared distance to that centre
  size_t steps = 0;
};

// The result does not depend on the pool's size. Errors: usage when there are fewer rows than
// clusters, clusters or batch_rows is 0, or a value is not finite.
KMeansResult mini_batch_kmeans(MatView<const float> x, const KMeansOptions& options,
                               ThreadPool& pool);

}  // namespace akin::eval
