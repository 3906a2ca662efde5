#include "eval/kmeans_start_bounds.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/threads.h"
#include "eval/dense.h"
#include "kernels/gathered.h"

namespace akin::eval {
namespace {

using kernels::Rounding;

constexpr size_t kStripRows = 256;
constexpr size_t kLeastDims = 32;
constexpr double kSlack = 1e-5;  // of sums of distances in f32, relative

}  // namespace

BoundedStart::BoundedStart(MatView<const float> rows, const double* norms, size_t trials,
                           ThreadPool& pool)
    : rows_(rows),
      norms_(norms),
      pool_(pool),
      usable_(kernels::bf16_products_available() && rows.cols() >= kLeastDims && trials > 1),
      left_rows_(trials, rows.cols()) {
  if (!usable_) return;
  narrow_norms_.assign(norms, norms + rows.rows());
  roundings_.resize(rows.rows());
  strips_.resize((rows.rows() + kStripRows - 1) / kStripRows);
  dense::for_blocks(&pool_, strips_.size(), 1, [&](size_t begin, size_t) {
    Strip& strip = strips_[begin];
    const size_t first = begin * kStripRows, n = std::min(kStripRows, rows.rows() - first);
    const float* from[kStripRows];
    for (size_t r = 0; r < n; ++r) {
      from[r] = rows.row(first + r);
      const Rounding rounding = roundings_[first + r] = kernels::rounding_of(from[r], rows.cols());
      strip.most.norm = std::max(strip.most.norm, rounding.norm);
      strip.most.lost = std::max(strip.most.lost, rounding.lost);
    }
    strip.rows.reserve(kernels::ProductNumbers::bf16, rows.cols(), n);
    strip.rows.pack_transposed({from, n}, 0, strip.rows.panels());
    strip.products.reset(trials * n);
    for (size_t t = 0; t < trials; ++t) strip.open.emplace_back(n + dense::kPanel);
    strip.open_count.resize(trials);
    strip.sums.resize(trials);
    strip.wide.resize(n);
  });
  usable_ = std::all_of(roundings_.begin(), roundings_.end(),
                        [](const Rounding& rounding) { return rounding.usable; });
}

void BoundedStart::screen_strip(Strip& strip, size_t index, std::span<const size_t> candidates,
                                const std::vector<float>& nearest) {
  const size_t first = index * kStripRows, n = strip.rows.cols();
  const MatView<float> products(strip.products.data(), candidates.size(), n);
  strip.rows.multiply(left_, {}, products);
  for (size_t t = 0; t < candidates.size(); ++t) {
    const Rounding& rounding = roundings_[candidates[t]];
    const float norm = narrow_norms_[candidates[t]];
    const float margin = 2 * rounding_bound(rounding, strip.most, rows_.cols()) +
                         2e-6F * (norm + strip.most.norm * strip.most.norm);
    strip.sums[t] = {};
    strip.open_count[t] = dense::undecided(
        products.row(t), narrow_norms_.data() + first, nearest.data() + first, n, norm, margin,
        static_cast<uint32_t>(first), strip.open[t].data(), strip.sums[t]);
  }
}

std::vector<size_t> BoundedStart::screen(std::span<const size_t> candidates,
                                         const std::vector<float>& nearest) {
  AKIN_CHECK(usable_ && candidates.size() == left_rows_.rows());
  candidates_.assign(candidates.begin(), candidates.end());
  for (size_t t = 0; t < candidates.size(); ++t)
    std::copy_n(rows_.row(candidates[t]), rows_.cols(), left_rows_.row(t));
  left_.set(kernels::ProductNumbers::bf16, left_rows_.view());
  dense::for_blocks(&pool_, strips_.size(), 1, [&](size_t begin, size_t) {
    screen_strip(strips_[begin], begin, candidates, nearest);
  });
  std::vector<dense::Span> sums(candidates.size());
  double best = std::numeric_limits<double>::infinity();
  for (size_t t = 0; t < sums.size(); ++t) {
    for (const Strip& strip : strips_) {
      sums[t].least += strip.sums[t].least;
      sums[t].most += strip.sums[t].most;
    }
    best = std::min(best, sums[t].most);
  }
  std::vector<size_t> out;
  for (size_t t = 0; t < sums.size(); ++t) {
    if (sums[t].least * (1 - kSlack) <= best * (1 + kSlack)) out.push_back(t);
  }
  return out;
}

void BoundedStart::measure_all(size_t centre, float* distances) {
  const std::vector<double> wide(rows_.row(centre), rows_.row(centre) + rows_.cols());
  dense::for_blocks(&pool_, strips_.size(), 1, [&](size_t begin, size_t) {
    Strip& strip = strips_[begin];
    const size_t first = begin * kStripRows, n = strip.rows.cols();
    std::vector<uint32_t> all(n);
    std::iota(all.begin(), all.end(), static_cast<uint32_t>(first));
    kernels::gathered_products(wide.data(), rows_, all, strip.wide.data());
    for (size_t i = 0; i < n; ++i) {
      distances[first + i] = squared_distance(strip.wide[i], norms_[centre], norms_[first + i],
                                              std::numeric_limits<float>::infinity());
    }
  });
}

void BoundedStart::measure(size_t t, const std::vector<float>& nearest, float* distances) {
  std::copy(nearest.begin(), nearest.end(), distances);
  const size_t candidate = candidates_[t];
  std::vector<double> wide(rows_.row(candidate), rows_.row(candidate) + rows_.cols());
  dense::for_blocks(&pool_, strips_.size(), 1, [&](size_t begin, size_t) {
    Strip& strip = strips_[begin];
    const std::span<const uint32_t> open(strip.open[t].data(), strip.open_count[t]);
    kernels::gathered_products(wide.data(), rows_, open, strip.wide.data());
    for (size_t i = 0; i < open.size(); ++i) {
      distances[open[i]] =
          squared_distance(strip.wide[i], norms_[candidate], norms_[open[i]], nearest[open[i]]);
    }
  });
}

}  // namespace akin::eval
