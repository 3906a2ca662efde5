// Which of several candidates for the next centre of k-means++ leaves the rows nearest to centres,
// by ruling out: products rounded to bfloat16 with a proven bound (kernels/rounding.h) say for
// which rows a candidate cannot be the nearest centre, and which candidates cannot be the best;
// what is left is measured as kmeans_start.cc measures everything. Not for other rooms.
//
// Shapes: m rows of the subset, D features, L candidates.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/mat.h"
#include "eval/nearest.h"
#include "kernels/rounding.h"
#include "kernels/train_product.h"

namespace akin {
class ThreadPool;
}

namespace akin::eval {

// max(0, -2 product + norm + other) in float64, rounded, or `nearest` where that is less.
inline float squared_distance(double product, double norm, double other, float nearest) {
  const auto distance = static_cast<float>(-2 * product + norm + other);
  return std::min(nearest, std::max(distance, 0.0F));
}

class BoundedStart {
 public:
  // rows [m, D]: dense; norms: their squares in float64. Both must outlive this.
  BoundedStart(MatView<const float> rows, const double* norms, size_t trials, ThreadPool& pool);
  bool usable() const { return usable_; }  // false: no bf16 products, or values that prove nothing

  // distances[r] = that of row r to row `centre`.
  void measure_all(size_t centre, float* distances);

  // Screens the candidates (rows of the subset) and returns, ascending, the places of those that
  // may leave the least sum of distances.
  std::vector<size_t> screen(std::span<const size_t> candidates, const std::vector<float>& nearest);
  // For the candidate at place t of the last screen(): distances[r] = that of row r to it, or to a
  // nearer centre.
  void measure(size_t t, const std::vector<float>& nearest, float* distances);

 private:
  struct Strip {
    kernels::RightOperand rows;
    kernels::Rounding most;
    AlignedArray<float> products;              // [L, rows of the strip]
    std::vector<AlignedArray<uint32_t>> open;  // by candidate: rows it may be nearest to
    std::vector<size_t> open_count;
    std::vector<dense::Span> sums;
    std::vector<double> wide;
  };
  void screen_strip(Strip& strip, size_t index, std::span<const size_t> candidates,
                    const std::vector<float>& nearest);

  MatView<const float> rows_;
  const double* norms_;
  ThreadPool& pool_;
  bool usable_;
  std::vector<float> narrow_norms_;
  std::vector<kernels::Rounding> roundings_;
  std::vector<Strip> strips_;
  std::vector<size_t> candidates_;
  Mat<float> left_rows_;
  kernels::LeftOperand left_;
};

}  // namespace akin::eval
