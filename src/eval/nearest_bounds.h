// The nearest centre of each row by ruling the others out: products of vectors rounded to bfloat16
// on AMX or AVX512_BF16, with a proven bound on their error (kernels/rounding.h), and the products
// of nearest.h, to the bit, for the few centres that remain. The labels are those of nearest.h.
//
// Shapes: N rows, D depth, K centres.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/mat.h"
#include "eval/nearest.h"
#include "kernels/rounding.h"
#include "kernels/train_product.h"

namespace akin::eval::dense {

class BoundedCentres {
 public:
  // Columns packed at once; norms in a CentreView must be padded to a multiple of it.
  static constexpr size_t kColumns = 32;
  static bool available(size_t centres, size_t depth);  // on this machine, and worth it

  BoundedCentres(size_t centres, size_t depth);

  // Packs again the group of kColumns centres; different groups may be packed by different threads.
  void pack(MatView<const float> centres, size_t group);
  // Call when groups were packed and before label().
  void finish();

  // labels[i] for all rows of x; centres as they were packed, their norms of now. Thread-safe.
  void label(MatView<const float> x, const kernels::Rounding* roundings, const CentreView& centres,
             int32_t* labels) const;

 private:
  size_t count_, columns_;
  Mat<float> zeros_;  // the centres of the padding
  kernels::RightOperand right_;
  std::vector<kernels::Rounding> group_most_;
  kernels::Rounding most_;  // each size the largest of all centres
};

}  // namespace akin::eval::dense
