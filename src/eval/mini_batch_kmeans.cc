#include "eval/mini_batch_kmeans.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>

#include "base/threads.h"
#include "eval/checks.h"
#include "eval/dense.h"
#include "eval/kmeans_start.h"
#include "eval/nearest.h"
#include "eval/nearest_bounds.h"
#include "eval/rng.h"

namespace akin::eval {
namespace {

constexpr std::string_view kWhere = "k-means";
using dense::kPanel;
constexpr size_t kGrain = 128;  // rows to a block of work

// The centres, and the packed copy the products read: of rounded values where most centres can be
// ruled out by those.
class Centres {
 public:
  Centres(Mat<float> start, ThreadPool& pool)
      : values_(std::move(start)),
        changed_(values_.rows(), 1),
        norms_((values_.rows() + kGroup - 1) / kGroup * kGroup) {
    std::fill_n(norms_.data(), norms_.size(), std::numeric_limits<float>::infinity());
    if (dense::BoundedCentres::available(values_.rows(), values_.cols())) {
      bounded_.emplace(values_.rows(), values_.cols());
    } else {
      packed_ = Mat<float>(dense::panels_of(values_.rows()) * values_.cols(), kPanel);
    }
    refresh(pool);
  }

  Mat<float>& values() { return values_; }
  float* row(size_t c) { return values_.row(c); }
  const float* row(size_t c) const { return values_.row(c); }
  size_t count() const { return values_.rows(); }
  const dense::BoundedCentres* bounded() const { return bounded_ ? &*bounded_ : nullptr; }

  // Call after a change to row c, and refresh() before the next product.
  void changed(size_t c) { changed_[c] = 1; }
  void refresh(ThreadPool& pool) {
    dense::for_blocks(&pool, norms_.size() / kGroup, 1, [&](size_t begin, size_t end) {
      for (size_t group = begin; group < end; ++group) refresh_group(group);
    });
    if (bounded_) bounded_->finish();
  }

  dense::CentreView view() const { return {values_.view(), packed_.data(), norms_.data()}; }

 private:
  static constexpr size_t kGroup = dense::BoundedCentres::kColumns;

  void refresh_group(size_t group) {
    const size_t begin = group * kGroup, end = std::min(begin + kGroup, values_.rows());
    if (std::find(&changed_[begin], &changed_[begin] + (end - begin), 1) ==
        &changed_[begin] + (end - begin)) {
      return;
    }
    dense::squared_norms(values_.view().row_range(begin, end - begin), norms_.data() + begin);
    if (bounded_) bounded_->pack(values_.view(), group);
    for (size_t c = begin; c < end; ++c) {
      if (!bounded_ && changed_[c] != 0) pack(c);
      changed_[c] = 0;
    }
  }

  void pack(size_t c) {
    const float* from = values_.row(c);
    float* to = packed_.data() + dense::packed_at(0, c, values_.cols());
    for (size_t k = 0; k < values_.cols(); ++k) to[k * kPanel] = from[k];
  }

  Mat<float> values_;
  std::vector<uint8_t> changed_;
  AlignedArray<float> norms_;  // infinity in the padding
  Mat<float> packed_;          // empty when bounded
  std::optional<dense::BoundedCentres> bounded_;
};

class Clusterer {
 public:
  Clusterer(MatView<const float> x, const KMeansOptions& options, ThreadPool& pool)
      : x_(x),
        options_(options),
        pool_(pool),
        batch_rows_(std::min(options.batch_rows, x.rows())),
        rng_(options.seed),
        centres_(start_centres(x, options, batch_rows_, rng_, pool), pool),
        counts_(options.clusters, 0.0F),
        drawn_(batch_rows_),
        labels_(batch_rows_),
        distances_(batch_rows_),
        members_(options.clusters) {
    if (options.regime == KMeansRegime::choice_batch) cdf_ = uniform_cdf(x.rows());
    if (centres_.bounded() == nullptr) return;
    roundings_.resize(x.rows());
    dense::for_blocks(&pool, x.rows(), kGrain, [&](size_t begin, size_t end) {
      for (size_t r = begin; r < end; ++r) roundings_[r] = kernels::rounding_of(x.row(r), x.cols());
    });
  }

  KMeansResult run() {
    const size_t steps = options_.max_iterations * x_.rows() / batch_rows_;
    size_t step = 0;
    while (step < steps) {
      draw_batch();
      const bool reassign = wants_reassignment();
      const double inertia = assign_batch();
      update_centres();
      if (reassign) reassign_centres();
      centres_.refresh(pool_);
      if (converged(step++, inertia / static_cast<double>(batch_rows_))) break;
    }
    return finish(step);
  }

 private:
  void draw_batch() {
    if (cdf_.empty()) return rng_.randint(x_.rows(), drawn_);
    for (auto& row : drawn_) row = rng_.choice(std::span<const double>(cdf_));
  }

  bool wants_reassignment() {
    since_reassignment_ += batch_rows_;
    const bool unused = std::find(counts_.begin(), counts_.end(), 0.0F) != counts_.end();
    if (!unused && since_reassignment_ < 10 * options_.clusters) return false;
    since_reassignment_ = 0;
    return true;
  }

  const float* drawn(size_t i) const { return x_.row(drawn_[i]); }

  // Labels the batch; returns its inertia, summed in float32 in row order.
  double assign_batch() {
    dense::for_blocks(&pool_, batch_rows_, kGrain, [&](size_t begin, size_t end) {
      if (centres_.bounded() != nullptr) {
        assign_bounded(begin, end);
      } else {
        dense::nearest_drawn(x_, drawn_.data(), begin, end, centres_.view(), labels_.data(),
                             distances_.data());
      }
    });
    return std::accumulate(distances_.begin(), distances_.end(), 0.0F);
  }

  // A few rows of the batch at a time; the next ones are on their way from memory meanwhile.
  void assign_bounded(size_t begin, size_t end) {
    constexpr size_t kRows = 32;
    const size_t depth = x_.cols();
    thread_local AlignedArray<float> copies;
    copies.ensure(kRows * depth);
    const float* ahead[kRows];
    kernels::Rounding roundings[kRows];
    for (size_t row = begin; row < end; row += kRows) {
      const size_t rows = std::min(kRows, end - row);
      for (size_t r = 0; r < rows; ++r) {
        if (row == begin && r + 1 < rows) fetch(drawn(row + r + 1));
        std::copy_n(drawn(row + r), depth, copies.data() + r * depth);
        roundings[r] = roundings_[drawn_[row + r]];
        ahead[r] = drawn(std::min(row + kRows + r, end - 1));
      }
      const MatView<const float> block(copies.data(), rows, depth);
      centres_.bounded()->label(block, roundings, centres_.view(), &labels_[row]);
      dense::distances_to(block, 0, rows, centres_.view().rows, row + kRows < end ? ahead : nullptr,
                          &labels_[row], &distances_[row]);
    }
  }

  void fetch(const float* row) const {
    for (size_t k = 0; k < x_.cols(); k += kAlignment / sizeof(float)) __builtin_prefetch(row + k);
  }

  // Each centre moves to the mean of all it was ever given.
  void update_centres() {
    for (auto& rows : members_) rows.clear();
    for (size_t i = 0; i < batch_rows_; ++i) members_[static_cast<size_t>(labels_[i])].push_back(i);
    dense::for_blocks(&pool_, members_.size(), 8, [&](size_t begin, size_t end) {
      for (size_t c = begin; c < end; ++c) {
        if (!members_[c].empty()) update_centre(c);
      }
    });
  }

  void update_centre(size_t c) {
    const size_t depth = x_.cols();
    float* __restrict centre = centres_.row(c);
    for (size_t k = 0; k < depth; ++k) centre[k] *= counts_[c];
    for (const size_t i : members_[c]) dense::add(centre, drawn(i), depth);
    counts_[c] += static_cast<float>(members_[c].size());
    const float share = 1.0F / counts_[c];
    for (size_t k = 0; k < depth; ++k) centre[k] *= share;
    centres_.changed(c);
  }

  // Centres with too few rows are put on random rows of the batch.
  void reassign_centres() {
    if (options_.reassignment_ratio <= 0) return;
    const float most = *std::max_element(counts_.begin(), counts_.end());
    const auto limit = static_cast<float>(options_.reassignment_ratio * static_cast<double>(most));
    std::vector<size_t> poor(counts_.size());
    std::iota(poor.begin(), poor.end(), size_t{0});
    std::erase_if(poor, [&](size_t c) { return counts_[c] >= limit; });
    if (2 * poor.size() > batch_rows_) {  // at most half a batch, the smallest first
      std::stable_sort(poor.begin(), poor.end(),
                       [&](size_t a, size_t b) { return counts_[a] < counts_[b]; });
      poor.resize(batch_rows_ / 2);
      std::sort(poor.begin(), poor.end());
    }
    if (poor.empty()) return;
    const auto rows = rng_.choice(batch_rows_, poor.size());
    std::vector<bool> chosen(counts_.size(), false);
    for (size_t i = 0; i < poor.size(); ++i) {
      std::copy_n(drawn(rows[i]), x_.cols(), centres_.row(poor[i]));
      centres_.changed(poor[i]);
      chosen[poor[i]] = true;
    }
    float least = most;  // not so small that the next round takes them again
    for (size_t c = 0; c < counts_.size(); ++c) {
      if (!chosen[c]) least = std::min(least, counts_[c]);
    }
    for (const size_t c : poor) counts_[c] = least;
  }

  // True when the smoothed inertia has not improved for long enough.
  bool converged(size_t step, double inertia) {
    if (step == 0) return false;
    const double weight = std::min(
        1.0, 2.0 * static_cast<double>(batch_rows_) / (static_cast<double>(x_.rows()) + 1));
    smoothed_ = smoothed_ ? *smoothed_ * (1 - weight) + inertia * weight : inertia;
    if (!best_ || *smoothed_ < *best_) {
      best_ = smoothed_;
      no_improvement_ = 0;
      return false;
    }
    ++no_improvement_;
    return options_.max_no_improvement > 0 && no_improvement_ >= options_.max_no_improvement;
  }

  KMeansResult finish(size_t steps) {
    KMeansResult out;
    out.steps = steps;
    out.labels.resize(x_.rows());
    std::vector<float> distances(x_.rows());
    dense::for_blocks(&pool_, x_.rows(), kGrain, [&](size_t begin, size_t end) {
      if (centres_.bounded() != nullptr) {
        centres_.bounded()->label(x_.row_range(begin, end - begin), &roundings_[begin],
                                  centres_.view(), &out.labels[begin]);
        dense::distances_to(x_, begin, end, centres_.view().rows, nullptr, out.labels.data(),
                            distances.data());
      } else {
        dense::nearest(x_, begin, end, centres_.view(), out.labels.data(), distances.data());
      }
    });
    out.inertia = std::accumulate(distances.begin(), distances.end(), 0.0);
    out.centres = std::move(centres_.values());
    return out;
  }

  MatView<const float> x_;
  const KMeansOptions& options_;
  ThreadPool& pool_;
  size_t batch_rows_;
  NumpyRandom rng_;
  Centres centres_;
  std::vector<float> counts_;                 // rows each centre was given so far
  std::vector<kernels::Rounding> roundings_;  // of x, when centres are ruled out by them
  std::vector<size_t> drawn_;                 // the rows of the batch
  std::vector<int32_t> labels_;
  std::vector<float> distances_;
  std::vector<std::vector<size_t>> members_;
  std::vector<double> cdf_;
  size_t since_reassignment_ = 0, no_improvement_ = 0;
  std::optional<double> smoothed_, best_;
};

}  // namespace

KMeansResult mini_batch_kmeans(MatView<const float> x, const KMeansOptions& options,
                               ThreadPool& pool) {
  if (options.clusters == 0 || options.batch_rows == 0) {
    throw_error(ErrorKind::usage, kWhere,
                "got {} clusters and batches of {} rows, expected 1 or more", options.clusters,
                options.batch_rows);
  }
  if (x.rows() < options.clusters) {
    throw_error(ErrorKind::usage, kWhere,
                "got {} rows for {} clusters, expected at least a row each; embed more of the set "
                "(max_fraction, max_documents)",
                x.rows(), options.clusters);
  }
  dense::for_blocks(&pool, x.rows(), 512, [&](size_t begin, size_t end) {
    check_finite(x, begin, end, kWhere, "embeddings");
  });
  return Clusterer(x, options, pool).run();
}

}  // namespace akin::eval
