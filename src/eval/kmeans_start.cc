#include "eval/kmeans_start.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <span>

#include "base/threads.h"
#include "eval/dense.h"
#include "eval/kmeans_start_bounds.h"
#include "eval/numpy_sum.h"

namespace akin::eval {
namespace {

using dense::kPanel;
constexpr size_t kGrain = 8;  // panels to a block of work

class PlusPlus {
 public:
  PlusPlus(MatView<const float> x, std::vector<size_t> rows, const KMeansOptions& options,
           NumpyRandom& rng, ThreadPool& pool)
      : x_(x),
        rows_(std::move(rows)),
        options_(options),
        rng_(rng),
        pool_(pool),
        trials_(2 + static_cast<size_t>(std::log(static_cast<double>(options.clusters)))),
        subset_(Mat<float>::unfilled(rows_.size(), x.cols())),
        norms_(rows_.size()),
        nearest_(rows_.size()),
        trial_distances_(trials_, rows_.size()),
        potentials_(trials_) {
    dense::for_blocks(&pool_, rows_.size(), kGrain * kPanel, [&](size_t begin, size_t end) {
      for (size_t r = begin; r < end; ++r) std::copy_n(x.row(rows_[r]), x.cols(), subset_.row(r));
      square(begin, end);
    });
    bounded_.emplace(subset_.view(), norms_.data(), trials_, pool);
    if (bounded_->usable()) return;
    bounded_.reset();
    panels_ = dense::panels_of(rows_.size());
    packed_ = Mat<float>(panels_ * x.cols(), kPanel);
    candidates_ = Mat<double>(trials_, x.cols());
    products_ = Mat<double>(trials_, panels_ * kPanel);
    dense::for_blocks(&pool_, panels_, kGrain, [&](size_t begin, size_t end) {
      for (size_t p = begin; p < end; ++p) pack(p);
    });
  }

  Mat<float> run() {
    Mat<float> centres(options_.clusters, x_.cols());
    const size_t first = first_row();
    std::copy_n(subset_.row(first), x_.cols(), centres.row(0));
    std::fill(nearest_.begin(), nearest_.end(), std::numeric_limits<float>::infinity());
    if (bounded_) {
      bounded_->measure_all(first, trial_distances_.row(0));
      potentials_[0] = total(0);
    } else {
      measure(std::span(&first, 1));
    }
    take(0);
    for (size_t c = 1; c < options_.clusters; ++c) {
      const auto candidates = draw();
      const size_t best = choose(candidates);
      std::copy_n(subset_.row(candidates[best]), x_.cols(), centres.row(c));
      take(best);
    }
    return centres;
  }

 private:
  size_t first_row() {
    if (options_.regime == KMeansRegime::randint) return rng_.randint(rows_.size());
    return rng_.choice(std::span<const double>(uniform_cdf(rows_.size())));
  }

  // Rows drawn with a probability that grows as the squared distance to the nearest centre.
  std::vector<size_t> draw() {
    std::vector<double> sums(nearest_.size());
    double sum = 0;
    for (size_t i = 0; i < sums.size(); ++i) sums[i] = sum += nearest_[i];
    std::vector<double> targets(trials_);
    for (auto& target : targets) target = rng_.uniform() * potential_;
    std::vector<size_t> rows;
    for (const double target : targets) {
      const auto at = std::lower_bound(sums.begin(), sums.end(), target) - sums.begin();
      rows.push_back(std::min(static_cast<size_t>(at), sums.size() - 1));
    }
    return rows;
  }

  // The place of the candidate that leaves the least sum of distances, the first of equal ones.
  size_t choose(const std::vector<size_t>& candidates) {
    std::vector<size_t> left(trials_);
    std::iota(left.begin(), left.end(), size_t{0});
    if (bounded_) {
      left = bounded_->screen(candidates, nearest_);
      for (const size_t t : left) {
        bounded_->measure(t, nearest_, trial_distances_.row(t));
        potentials_[t] = total(t);
      }
    } else {
      measure(candidates);
    }
    size_t best = left.front();
    for (const size_t t : left) best = potentials_[t] < potentials_[best] ? t : best;
    return best;
  }

  // The squared norms of rows [begin, end); a few at a time, because a sum waits for the one
  // before.
  void square(size_t begin, size_t end) {
    constexpr size_t kRows = 8;
    for (size_t row = begin; row < end; row += kRows) {
      const float* from[kRows];
      for (size_t r = 0; r < kRows; ++r) from[r] = subset_.row(std::min(row + r, end - 1));
      double norms[kRows] = {};
      for (size_t k = 0; k < x_.cols(); ++k) {
        for (size_t r = 0; r < kRows; ++r) norms[r] += double{from[r][k]} * double{from[r][k]};
      }
      std::copy_n(norms, std::min(kRows, end - row), norms_.data() + row);
    }
  }

  // Panel p of the subset: its rows as columns.
  void pack(size_t p) {
    const size_t depth = x_.cols();
    for (size_t r = p * kPanel; r < std::min((p + 1) * kPanel, rows_.size()); ++r) {
      const float* from = subset_.row(r);
      float* to = packed_.data() + dense::packed_at(0, r, depth);
      for (size_t k = 0; k < depth; ++k) to[k * kPanel] = from[k];
    }
  }

  // For each candidate: the squared distances to all rows, or to a nearer centre, and their sum.
  void measure(std::span<const size_t> candidates) {
    for (size_t t = 0; t < candidates.size(); ++t)
      std::copy_n(subset_.row(candidates[t]), x_.cols(), candidates_.row(t));
    const MatView<const double> left(candidates_.data(), candidates.size(), x_.cols());
    dense::for_blocks(&pool_, panels_, kGrain, [&](size_t begin, size_t end) {
      dense::multiply_wide(left, packed_.data(), begin, end, products_.view());
      const size_t last = std::min(end * kPanel, rows_.size());
      for (size_t t = 0; t < candidates.size(); ++t) {
        const double norm = norms_[candidates[t]];
        const double* products = products_.row(t);
        float* distances = trial_distances_.row(t);
        for (size_t r = begin * kPanel; r < last; ++r) {
          distances[r] = squared_distance(products[r], norm, norms_[r], nearest_[r]);
        }
      }
    });
    for (size_t t = 0; t < candidates.size(); ++t) potentials_[t] = total(t);
  }

  // Up to 1.2 numpy adds; later releases take a dot product with the weights, whose order of
  // additions is the BLAS library's own.
  float total(size_t trial) const {
    const float* values = trial_distances_.row(trial);
    if (options_.regime == KMeansRegime::randint) return numpy_sum(values, rows_.size());
    return static_cast<float>(std::accumulate(values, values + rows_.size(), 0.0));
  }

  void take(size_t trial) {
    std::copy_n(trial_distances_.row(trial), rows_.size(), nearest_.begin());
    potential_ = potentials_[trial];
  }

  MatView<const float> x_;
  std::vector<size_t> rows_;
  const KMeansOptions& options_;
  NumpyRandom& rng_;
  ThreadPool& pool_;
  size_t trials_;
  Mat<float> subset_;          // [m, D]
  std::vector<double> norms_;  // squared, of its rows
  // For all products, when bounded_ is not there:
  size_t panels_ = 0;
  Mat<float> packed_;                  // the subset, its rows as packed columns
  Mat<double> candidates_, products_;  // [L, D], [L, m]
  std::vector<float> nearest_;         // squared distance to the nearest centre so far
  Mat<float> trial_distances_;         // [L, m]
  std::vector<float> potentials_;
  float potential_ = 0;
  std::optional<BoundedStart> bounded_;
};

}  // namespace

std::vector<double> uniform_cdf(size_t n) {
  const double p = 1.0F / static_cast<float>(n);
  std::vector<double> cdf(n);
  double sum = 0;
  for (auto& value : cdf) value = sum += p;
  for (auto& value : cdf) value /= sum;
  return cdf;
}

Mat<float> start_centres(MatView<const float> x, const KMeansOptions& options, size_t batch_rows,
                         NumpyRandom& rng, ThreadPool& pool) {
  size_t subset = 3 * batch_rows;
  if (subset < options.clusters) subset = 3 * options.clusters;
  subset = std::min(subset, x.rows());
  rng.randint(x.rows(), subset);  // a validation sample, which a single start has no use for
  std::vector<size_t> rows;
  if (subset < x.rows()) {
    rows = rng.randint(x.rows(), subset);
  } else {
    rows.resize(x.rows());
    std::iota(rows.begin(), rows.end(), size_t{0});
  }
  return PlusPlus(x, std::move(rows), options, rng, pool).run();
}

}  // namespace akin::eval
