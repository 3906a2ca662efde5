// One row of scaled dot products and its exponentials: what in_batch_softmax.cc does between its
// products. Not attention's softmax (attention.h), whose rows are normalised in place.
//
// Shapes: N columns of a piece of the row. The logit of column j is x = dots[j] * inverse_norms[j]
// * scale, multiplied in this order everywhere.
#pragma once

#include <cstddef>

namespace akin::kernels {

struct LogitRow {
  const float* dots;           // [N]
  const float* inverse_norms;  // [N], of the columns' vectors
  float scale;                 // 1 / (norm of the row's vector * temperature)
  size_t size;                 // N
};

inline float logit(float dot, float inverse_norm, float scale) {
  return dot * inverse_norm * scale;
}

// Raises column_maxima [N] to the logits where they are higher; returns the row's largest, -3e38
// for N = 0.
float logit_maxima(const LogitRow& row, float* column_maxima);

// What is taken from a logit before exp. columns null: `row` for both directions, one exp instead
// of two.
struct LogitShifts {
  float row;
  const float* columns;  // [N]
};

struct LogitSums {
  float sum, largest;  // of exp(x - shift.row); of x
};
// Also adds exp(x - column shift) to column_sums [N].
LogitSums logit_sums(const LogitRow& row, const LogitShifts& shifts, float* column_sums);

// dL/dx = exp(x - row shift) * row_weight + exp(x - column shift) * column_weights; out [N] gets
// dL/d dot, column_sums [N] grow by x dL/dx. Returns the row's sum of x dL/dx.
float logit_gradients(const LogitRow& row, const LogitShifts& shifts, float row_weight,
                      const float* column_weights, float* column_sums, float* out);

}  // namespace akin::kernels
