// Agreement of a clustering with true labels: homogeneity, completeness, V-measure, adjusted mutual
// information. Natural logarithms; equal to scikit-learn within 1e-9. Labels are any integers.
#pragma once

#include <cstdint>
#include <span>

namespace akin::eval {

struct VMeasure {
  double homogeneity = 0, completeness = 0, v = 0;
};
// Errors: usage when sizes differ. No rows: all 1.
VMeasure v_measure(std::span<const int32_t> truth, std::span<const int32_t> predicted);

// Mean (not max) of the two entropies as normaliser; expectation under the hypergeometric model
// (Vinh, Epps, Bailey, JMLR 2010). Cost: rows of the contingency table x its columns x cluster
// size.
double adjusted_mutual_info(std::span<const int32_t> truth, std::span<const int32_t> predicted);

}  // namespace akin::eval
