// The softmax loss over a batch's own candidates, value and gradient at once, for several prefixes
// of the vectors (InfoNCE, arXiv:1807.03748, under Matryoshka, arXiv:2205.13147). Memory does not
// grow with B * C: tiles of dot products go straight into the next product, taken twice, once for
// the sums of exponentials and once for the gradient; only up to 4 MiB of them are kept instead.
// Not here: which candidates are left out, and autograd (loss/).
//
// Shapes: B queries, C >= B candidates, E dims, K prefixes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/mat.h"
#include "base/threads.h"

namespace akin::kernels {

// Cosine of a zero vector: 0 with everything.
struct InBatchSoftmax {
  MatView<const float> queries;              // [B, E]
  std::span<const float* const> candidates;  // C rows of E; candidate i is the positive of query i
  std::span<const size_t> dims;              // K ascending, the last at most E
  std::span<const double> weights;           // K
  double temperature = 0.05;
  bool both_directions = true;  // also from candidates [0, B) to the queries
  // Candidates that are no negatives of row i: excluded[excluded_begin[i], excluded_begin[i + 1]),
  // ascending, never i itself. Both empty: none.
  std::span<const uint32_t> excluded_begin;  // [B + 1]
  std::span<const uint32_t> excluded;
};

struct InBatchSoftmaxValue {
  double loss = 0;    // sum over prefixes of weight * (mean over queries [+ mean over documents])
  size_t solved = 0;  // queries whose positive beats every negative, by the last prefix
};

// Fills d_queries [B, E] and d_candidates [C, E] unless both are empty. The same bytes for any
// number of threads. NaN for vectors that are not finite.
InBatchSoftmaxValue in_batch_softmax(const InBatchSoftmax& in, ThreadPool& pool,
                                     MatView<float> d_queries, MatView<float> d_candidates);

}  // namespace akin::kernels
