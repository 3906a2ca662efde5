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

// Products are summed in pieces of the depth, each one chain, and these one after another.
inline constexpr size_t kNearestPiece = 256;

// For i in [begin, end): labels[i] = the first c with the least norms[c] - 2 x[i] . rows[c], and
// distances[i] = the squared distance of x[i] to that centre, added in float32 in a fixed order:
// four squares at a time. Every value depends on its row and the centres alone.
void nearest(MatView<const float> x, size_t begin, size_t end, const CentreView& centres,
             int32_t* labels, float* distances);

// The same for rows drawn from all over x: row i is x[drawn[i]]. The next rows are on their way
// from memory while these are multiplied.
void nearest_drawn(MatView<const float> x, const size_t* drawn, size_t begin, size_t end,
                   const CentreView& centres, int32_t* labels, float* distances);

// distances[i] as above, for labels that are known. ahead: null, or end - begin rows that are
// wanted soon and asked for from memory on the way.
void distances_to(MatView<const float> x, size_t begin, size_t end, MatView<const float> centres,
                  const float* const* ahead, const int32_t* labels, float* distances);

// The columns c < n with norms[c] - 2 dots[c] no more than `margin` above the least, ascending;
// returns how many. n: a multiple of kPanel; room for n + kPanel in out.
size_t contenders(const float* dots, const float* norms, size_t n, float margin, uint32_t* out);

// out[i] = the sum of the squares of row i, one after another, each square rounded.
void squared_norms(MatView<const float> rows, float* out);

// For rows r < n, what is known of min(nearest[r], d) with d = max(0, norm + norms[r] - 2 dots[r]),
// when the sum in it is wrong by at most `margin`: the rows where d may be the smaller go to out,
// ascending from `first` on; returns how many. Adds the least and the most that these minima can
// come to, up to rounding. Room for n + kPanel in out.
struct Span {
  double least = 0, most = 0;
};
size_t undecided(const float* dots, const float* norms, const float* nearest, size_t n, float norm,
                 float margin, uint32_t first, uint32_t* out, Span& sums);

void add(float* y, const float* x, size_t n);  // y += x

}  // namespace akin::eval::dense
