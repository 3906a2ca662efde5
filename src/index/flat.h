// Exact search in bounded memory: the k documents most alike to each of many queries, for documents
// that arrive in chunks. Not an index that is kept: nothing but the best k of each query is.
//
// Shapes: Q queries, N documents of a chunk, E dims. The score is the dot product in f32
// (kernels/linear.h); rows are used as they come: normalise them first for cosine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/mat.h"
#include "base/threads.h"

namespace akin::index {

struct Hit {
  float score = 0;
  uint32_t doc = 0;
};

// Results do not depend on the number of threads, on the chunks or on their order: a score depends
// on its two vectors alone, and equal scores are ordered by rank. Memory: about 16 * Q * k bytes,
// plus Q * E and a chunk's packed form. Cost: the matrix product. Not thread-safe; uses the pool.
class FlatSearch {
 public:
  // queries: [Q, E], copied. Errors: usage, a vector with NaN or infinity.
  FlatSearch(MatView<const float> queries, size_t k, ThreadPool& pool);
  ~FlatSearch();
  FlatSearch(FlatSearch&&) noexcept;
  FlatSearch& operator=(FlatSearch&&) noexcept;

  // docs: [N, E]; row i is document base_id + i; every document once. Where scores are equal the
  // document with the larger rank comes first; ranks: N values, all different over all chunks (the
  // place of a document's id among all ids in order; memory is 4 bytes a rank), or empty in every
  // call: the lower document number comes first. Errors: usage, as above and for too many documents
  // (2^32).
  void add(MatView<const float> docs, size_t base_id, std::span<const uint32_t> ranks = {});

  size_t queries() const;
  size_t documents() const;  // added so far

  // Best first; fewer than k only when there are fewer documents. Errors: usage, equal ranks.
  std::vector<Hit> result(size_t query) const;
  std::vector<std::vector<Hit>> results() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace akin::index
