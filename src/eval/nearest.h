// The inner loop of k-means: which centre is nearest to each row, and how far. Not a search for
// many neighbours (index/flat.h).
//
// Shapes: N rows, D depth, K centres, P = ceil(K / kPanel) panels of packed centres (dense.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/mat.h"
#include "eval/dense.h"

namespace akin::eval::dense {

struct CentreView {
  MatView<const float> rows;  // [K, D]
  const float* packed;        // [P][D][kPanel]
  const float* norms;  // [P * kPanel] squared norms, 64-byte aligned; infinity in the padding
};

// For i in [begin, end): labels[i] = the first c with the least norms[c] - 2 x[i] . rows[c], and
// distances[i] = the squared distance of x[i] to that centre, added in float32 in a fixed order:
// four squares at a time. Every value depends on its row and the centres alone.
void nearest(MatView<const float> x, size_t begin, size_t end, const CentreView& centres,
             int32_t* labels, float* distances);

// The same for rows drawn from all over x: row i is x[drawn[i]], which is also copied to row i of
// copy. The next rows are on their way from memory while these are multiplied.
void nearest_drawn(MatView<const float> x, const size_t* drawn, size_t begin, size_t end,
                   MatView<float> copy, const CentreView& centres, int32_t* labels,
                   float* distances);

void add(float* y, const float* x, size_t n);  // y += x

}  // namespace akin::eval::dense
