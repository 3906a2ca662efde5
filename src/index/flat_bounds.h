// Exact search by ruling documents out: products of vectors rounded to bfloat16, on AMX or
// AVX512_BF16, with a proven bound on their error (kernels/rounding.h). A document whose product
// plus the bound stays below what k others reach for certain is not among the best k; the others
// get the score in f32 that every other way gives them, to the bit. Internal to index/.
//
// Shapes: Q queries, N documents of a slab, E dims.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/mat.h"
#include "base/threads.h"
#include "index/flat_best.h"
#include "kernels/rounding.h"
#include "kernels/train_product.h"

namespace akin::index {

class BoundedSearch {
 public:
  // Whether this machine can, and enough queries share the work on a document.
  static bool available(size_t queries, size_t dims);

  BoundedSearch(MatView<const float> queries, size_t k, ThreadPool& pool);  // copies them
  ~BoundedSearch();

  MatView<const float> queries() const { return queries_.view(); }
  size_t slab_docs() const { return slab_docs_; }  // the most at once

  // Whether ruling out is likely to leave few documents: k is small beside those seen with these,
  // and earlier slabs went well.
  bool promising(size_t documents) const;

  // Adds the documents of a slab, numbered from `first` on. ranks: N, or empty: ~number. Queries
  // for which too little was ruled out are left alone: their groups' numbers come back, for the
  // caller to do in another way. Every value must be finite.
  std::vector<size_t> add(MatView<const float> docs, size_t first, std::span<const uint32_t> ranks,
                          BestKeys& best);
  size_t group_queries() const { return group_queries_; }  // a power of two, 32 or more
  size_t group_begin(size_t group) const { return group * group_queries_; }
  size_t group_end(size_t group) const;

 private:
  struct Strip {  // documents that are multiplied at once
    kernels::RightOperand right;
    kernels::Rounding most;  // of all its documents, each size on its own
  };
  struct Slab {
    MatView<const float> docs;
    size_t first = 0;
    std::span<const uint32_t> ranks;
    kernels::Rounding most;
    uint32_t rank(size_t row) const {
      return ranks.empty() ? ~static_cast<uint32_t>(first + row) : ranks[row];
    }
  };
  struct Scratch;  // a thread's

  bool prepare(Slab& slab);  // false: nothing is proven for some document
  bool rule_out(const Slab& slab, size_t begin, size_t end, BestKeys& best, Scratch& work) const;
  void score(const Slab& slab, size_t begin, size_t end, BestKeys& best, Scratch& work) const;

  ThreadPool& pool_;
  Mat<float> queries_;
  std::vector<kernels::Rounding> roundings_;  // of the queries
  bool usable_ = true;
  size_t k_, slab_docs_, room_, group_queries_;  // room: documents of a slab kept for a query
  size_t slabs_ = 0, left_alone_ = 0;            // groups times slabs so far
  std::vector<Strip> strips_;
  std::vector<std::unique_ptr<Scratch>> scratch_;
};

}  // namespace akin::index
