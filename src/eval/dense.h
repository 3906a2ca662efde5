// The dense arithmetic under the solvers: products of a row-major matrix with a packed one in
// float64, the softmax loss, and vector sums; nearest centres are in nearest.h. Not the products
// behind an encoder (kernels/linear.h): these keep float64, and the right side changes on every
// call.
//
// Packed ("panels"): [panel][K][kPanel], columns past the end hold zeros. Shapes: M rows, K depth,
// N columns, P = ceil(N / kPanel) panels. Every output is one chain of additions over K, so it does
// not depend on how rows are divided among threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "base/mat.h"

namespace akin {
class ThreadPool;
}

namespace akin::eval::dense {

inline constexpr size_t kPanel = 16;  // columns

inline size_t panels_of(size_t columns) { return (columns + kPanel - 1) / kPanel; }

// Where column c of depth k stands in a packed matrix of depth K.
inline size_t packed_at(size_t k, size_t c, size_t depth) {
  return (c / kPanel * depth + k) * kPanel + c % kPanel;
}

// out[panel][row][kPanel] = a[row, 0..K) * b for rows [begin, end); out_rows rows to a panel.
void multiply(MatView<const double> a, size_t begin, size_t end, const double* b, size_t panels,
              double* out, size_t out_rows);

// out[row, column] = a[row] . b[column] in float64 for the columns of panels [begin, end) of a
// float32 b; out is row-major.
void multiply_wide(MatView<const double> a, const float* b, size_t begin, size_t end,
                   MatView<double> out);

// One step along a line of a softmax model: z = raw + step * direction, both packed [P][M][16].
// For rows [begin, end): probabilities - onehot(y), scaled, into gradient (packed likewise, zero in
// the padding), the loss into losses[row], and its derivative by step into slopes[row], unscaled.
struct SoftmaxArgs {
  const double* raw;
  const double* direction;
  double step;
  const int32_t* y;
  size_t rows, classes;
  double scale;
  double* gradient;
  double* losses;
  double* slopes;
};
void softmax(const SoftmaxArgs& args, size_t begin, size_t end);
// The same for one column (two classes, y in {0, 1}): a sigmoid.
void sigmoid(const SoftmaxArgs& args, size_t begin, size_t end);

double dot(const double* a, const double* b, size_t n);
// Dots of one vector with two others, read once: out = {a . x, a . y}.
struct TwoDots {
  double x, y;
};
TwoDots dot_two(const double* a, const double* x, const double* y, size_t n);
void add_scaled(double* y, double factor, const double* x, size_t n);  // y += factor x
double max_abs(const double* x, size_t n);

// Calls f(begin, end) over [0, count) in blocks of `grain`, on the pool's threads when there is a
// pool, one after another when it is null.
void for_blocks(ThreadPool* pool, size_t count, size_t grain,
                const std::function<void(size_t begin, size_t end)>& f);

}  // namespace akin::eval::dense
