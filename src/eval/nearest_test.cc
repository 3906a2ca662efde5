#include "eval/nearest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "eval/counted_statistic.h"
#include "eval/numpy_sum.h"

namespace akin::eval {
namespace {

Mat<float> noise(size_t rows, size_t dims, Rng& rng) {
  Mat<float> out(rows, dims);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < dims; ++c) out(r, c) = static_cast<float>(rng.normal());
  }
  return out;
}

struct Packed {
  AlignedArray<float> values, norms;
  explicit Packed(const Mat<float>& centres)
      : values(dense::panels_of(centres.rows()) * centres.cols() * dense::kPanel),
        norms(dense::panels_of(centres.rows()) * dense::kPanel) {
    std::fill_n(values.data(), values.size(), 0.0F);
    std::fill_n(norms.data(), norms.size(), std::numeric_limits<float>::infinity());
    for (size_t c = 0; c < centres.rows(); ++c) {
      norms.data()[c] = 0;
      for (size_t k = 0; k < centres.cols(); ++k) {
        values.data()[dense::packed_at(k, c, centres.cols())] = centres(c, k);
        norms.data()[c] += centres(c, k) * centres(c, k);
      }
    }
  }
};

// Four squares at a time, as the reference adds.
float ordered_distance(const float* a, const float* b, size_t n) {
  const auto square = [&](size_t k) { return (a[k] - b[k]) * (a[k] - b[k]); };
  float sum = 0;
  size_t k = 0;
  for (; k + 4 <= n; k += 4) {
    sum += ((square(k) + square(k + 1)) + square(k + 2)) + square(k + 3);
  }
  for (; k < n; ++k) sum += square(k);
  return sum;
}

// Depths, row counts and centres that leave remainders everywhere.
TEST(Nearest, EqualsTheNaiveLoop) {
  Rng rng(1);
  for (const size_t dims : {1, 7, 16, 45, 300}) {
    for (const size_t clusters : {1, 16, 37}) {
      const Mat<float> x = noise(131, dims, rng), centres = noise(clusters, dims, rng);
      const Packed packed(centres);
      const dense::CentreView view{centres.view(), packed.values.data(), packed.norms.data()};
      std::vector<int32_t> labels(x.rows());
      std::vector<float> distances(x.rows());
      dense::nearest(x.view(), 0, x.rows(), view, labels.data(), distances.data());
      for (size_t i = 0; i < x.rows(); ++i) {
        double least = std::numeric_limits<double>::infinity();
        for (size_t c = 0; c < clusters; ++c) {
          least = std::min<double>(least, ordered_distance(x.row(i), centres.row(c), dims));
        }
        const float* centre = centres.row(static_cast<size_t>(labels[i]));
        EXPECT_EQ(distances[i], ordered_distance(x.row(i), centre, dims));
        EXPECT_NEAR(distances[i], least, 1e-4 * (1 + least));
      }
    }
  }
}

TEST(Nearest, DrawnRowsAreAsRowsInPlace) {
  Rng rng(2);
  const Mat<float> x = noise(200, 83, rng), centres = noise(21, 83, rng);
  const Packed packed(centres);
  const dense::CentreView view{centres.view(), packed.values.data(), packed.norms.data()};
  std::vector<int32_t> labels(x.rows()), drawn_labels(150);
  std::vector<float> distances(x.rows()), drawn_distances(150);
  dense::nearest(x.view(), 0, x.rows(), view, labels.data(), distances.data());
  std::vector<size_t> drawn;
  for (size_t i = 0; i < 150; ++i) drawn.push_back(rng.below(x.rows()));
  for (const size_t begin : {size_t{0}, size_t{101}}) {
    dense::nearest_drawn(x.view(), drawn.data(), begin, begin == 0 ? 101 : 150, view,
                         drawn_labels.data(), drawn_distances.data());
  }
  for (size_t i = 0; i < drawn.size(); ++i) {
    EXPECT_EQ(drawn_labels[i], labels[drawn[i]]);
    EXPECT_EQ(drawn_distances[i], distances[drawn[i]]);
  }
}

TEST(NumpySum, AddsInEightsAndHalves) {
  std::vector<float> values(300, 1.0F);
  values[0] = 16777216.0F;  // 2^24: a one added to it alone is lost
  EXPECT_EQ(numpy_sum(values.data(), values.size()), 16777216.0F + 290.0F);
  EXPECT_EQ(numpy_sum(values.data(), 3), 16777216.0F);
}

TEST(CountedStatistic, ARepeatedItemCountsAsManyTimes) {
  const std::vector<double> scores = {0.1, 0.4, 0.4, 0.9}, gold = {0, 1, 0, 1};
  const std::vector<uint32_t> counts = {2, 1, 0, 3};
  const std::vector<double> long_scores = {0.1, 0.1, 0.4, 0.9, 0.9, 0.9};
  const std::vector<double> long_gold = {0, 0, 1, 1, 1, 1};
  const std::vector<uint32_t> ones(6, 1);
  const ScoreOrder order(scores), long_order(long_scores);
  EXPECT_DOUBLE_EQ(counted_ap(order, gold, counts), counted_ap(long_order, long_gold, ones));
  EXPECT_NEAR(counted_pearson(scores, gold, counts), counted_pearson(long_scores, long_gold, ones),
              1e-15);
  std::vector<double> ranks(4), long_ranks(6);
  counted_ranks(order, counts, ranks);
  counted_ranks(long_order, ones, long_ranks);
  EXPECT_EQ(ranks[0], long_ranks[0]);
  EXPECT_EQ(ranks[1], long_ranks[2]);
  EXPECT_EQ(ranks[3], long_ranks[5]);
  EXPECT_TRUE(std::isnan(counted_ap(order, gold, std::vector<uint32_t>{1, 0, 1, 0})));
}

}  // namespace
}  // namespace akin::eval
