#include "cli/top_k.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace akin::cli {
namespace {

TEST(TopK, EqualsSortingEverything) {
  Rng rng(7);
  Mat<float> documents(5000, 19);
  for (size_t i = 0; i < documents.rows() * documents.cols(); ++i)
    documents.data()[i] = static_cast<float>(rng.normal());
  std::vector<float> query(19);
  for (auto& x : query) x = static_cast<float>(rng.normal());
  for (const Measure kind :
       {Measure::cosine, Measure::dot, Measure::euclidean, Measure::manhattan}) {
    std::vector<Hit> all;
    for (size_t r = 0; r < documents.rows(); ++r)
      all.push_back({r, measure(kind, documents.row(r), query.data(), 19)});
    std::stable_sort(all.begin(), all.end(),
                     [](const Hit& a, const Hit& b) { return a.score > b.score; });
    for (const size_t threads : {1, 3}) {
      ThreadPool pool(threads);
      const auto best = top_k(pool, documents.view(), query.data(), kind, 25);
      ASSERT_EQ(best.size(), 25U);
      for (size_t i = 0; i < best.size(); ++i) EXPECT_EQ(best[i].row, all[i].row);
    }
  }
}

TEST(TopK, TiesGoToTheLowerRowAndSmallCorporaAreFine) {
  ThreadPool pool(2);
  const Mat<float> same(10, 4);
  const float query[4] = {1, 0, 0, 0};
  const auto best = top_k(pool, same.view(), query, Measure::cosine, 3);
  ASSERT_EQ(best.size(), 3U);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(best[i].row, i);
  EXPECT_EQ(top_k(pool, same.view(), query, Measure::dot, 100).size(), 10U);
  EXPECT_TRUE(top_k(pool, same.view(), query, Measure::dot, 0).empty());
  EXPECT_TRUE(top_k(pool, Mat<float>(0, 4).view(), query, Measure::dot, 5).empty());
}

TEST(Measure, AgainstHandComputedValues) {
  const float a[3] = {3, 4, 0}, b[3] = {4, 3, 0}, zero[3] = {};
  EXPECT_FLOAT_EQ(measure(Measure::cosine, a, b, 3), 24.0F / 25);
  EXPECT_FLOAT_EQ(measure(Measure::dot, a, b, 3), 24);
  EXPECT_FLOAT_EQ(measure(Measure::euclidean, a, b, 3), -std::sqrt(2.0F));
  EXPECT_FLOAT_EQ(measure(Measure::manhattan, a, b, 3), -2);
  EXPECT_EQ(measure(Measure::cosine, a, zero, 3), 0);
  EXPECT_EQ(resolve_measure(Measure::automatic, "dot"), Measure::dot);
  EXPECT_EQ(resolve_measure(Measure::automatic, ""), Measure::cosine);
  EXPECT_EQ(resolve_measure(Measure::manhattan, "dot"), Measure::manhattan);
}

}  // namespace
}  // namespace akin::cli
