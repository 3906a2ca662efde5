// Exact search that rules documents out against the search that multiplies them all: the same
// scores, order and ties, to the bit, whatever the vectors are like. Without bf16 products both are
// the same search.
#include "index/flat_bounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "base/rng.h"
#include "base/test_mat.h"
#include "index/flat.h"
#include "kernels/cpu.h"

namespace akin::index {
namespace {

using kernels::Isa;

void scale(Mat<float>& m, size_t row, float factor) {
  for (size_t d = 0; d < m.cols(); ++d) m(row, d) *= factor;
}

std::vector<std::vector<Hit>> search(const Mat<float>& queries, const Mat<float>& docs, size_t k,
                                     size_t chunk, std::span<const uint32_t> ranks) {
  ThreadPool pool(2);
  FlatSearch flat(queries.view(), k, pool);
  for (size_t begin = 0; begin < docs.rows(); begin += chunk) {
    const size_t n = std::min(chunk, docs.rows() - begin);
    flat.add(docs.view().row_range(begin, n), begin,
             ranks.empty() ? ranks : ranks.subspan(begin, n));
  }
  return flat.results();
}

// All sets from VNNI on share their f32 products.
void expect_same(const Mat<float>& queries, const Mat<float>& docs, size_t k, size_t chunk,
                 std::span<const uint32_t> ranks = {}) {
  kernels::set_isa(kernels::detected_isa());
  const auto got = search(queries, docs, k, chunk, ranks);
  kernels::set_isa(Isa::vnni);
  const auto wanted = search(queries, docs, k, chunk, ranks);
  kernels::set_isa(kernels::detected_isa());
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t q = 0; q < got.size(); ++q) {
    ASSERT_EQ(got[q].size(), wanted[q].size());
    for (size_t i = 0; i < got[q].size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(got[q][i].score),
                std::bit_cast<uint32_t>(wanted[q][i].score))
          << "query " << q << ", place " << i;
      ASSERT_EQ(got[q][i].doc, wanted[q][i].doc) << "query " << q << ", place " << i;
    }
  }
}

TEST(FlatBounds, SameForNoiseOfAllSizes) {
  for (const size_t dims : {32, 65, 200}) {
    const Mat<float> queries = random_mat(97, dims, 1), docs = random_mat(9000, dims, 2);
    for (const size_t k : {1, 10, 300, 1000}) {
      expect_same(queries, docs, k, docs.rows());
      expect_same(queries, docs, k, 2500);
    }
  }
}

TEST(FlatBounds, SameWithTiesAndRanks) {
  Mat<float> queries = random_mat(70, 48, 3), docs = random_mat(8000, 48, 4);
  std::vector<uint32_t> ranks(docs.rows());
  std::iota(ranks.begin(), ranks.end(), 0U);
  std::reverse(ranks.begin(), ranks.end());
  for (size_t r = 0; r < docs.rows(); ++r) {  // ten copies of each
    std::copy_n(docs.row(r % 800), docs.cols(), docs.row(r));
  }
  std::fill_n(queries.row(7), 48, 0.0F);
  std::fill_n(docs.row(77), 48, 0.0F);
  for (const size_t k : {1, 9, 15, 100}) expect_same(queries, docs, k, 8000, ranks);
  for (size_t i = 0; i < docs.rows() * docs.cols(); ++i) {  // few values, sums without rounding
    docs.data()[i] = std::round(docs.data()[i]);
  }
  for (size_t i = 0; i < queries.rows() * queries.cols(); ++i) {
    queries.data()[i] = std::round(queries.data()[i]);
  }
  for (const size_t k : {1, 100}) expect_same(queries, docs, k, 3000, ranks);
}

TEST(FlatBounds, SameForVectorsThatDoNotHelp) {
  const Mat<float> queries = random_mat(64, 40, 5);
  Mat<float> docs = random_mat(7000, 40, 6);
  for (size_t r = 0; r < docs.rows(); ++r) {  // nearly one direction
    for (size_t d = 0; d < 40; ++d) docs(r, d) = 1 + 1e-4F * docs(r, d);
  }
  expect_same(queries, docs, 20, 7000);
  for (size_t r = 0; r < docs.rows(); ++r) std::copy_n(docs.row(0), 40, docs.row(r));
  expect_same(queries, docs, 20, 3500);
  docs = random_mat(7000, 40, 7);
  for (size_t r = 0; r < docs.rows(); ++r) {
    scale(docs, r, r % 100 == 3 ? 50.0F : 1e-3F * static_cast<float>(r % 7));  // zero among them
  }
  expect_same(queries, docs, 50, 7000);
  scale(docs, 11, 1e-25F);
  expect_same(queries, docs, 50, 7000);
  scale(docs, 12, 1e15F);
  expect_same(queries, docs, 50, 2000);
  Mat<float> wild = random_mat(64, 40, 5);
  scale(wild, 9, 1e14F);
  expect_same(wild, docs, 50, 7000);
}

TEST(FlatBounds, LeavesAloneWhatItCannotRuleOut) {
  if (!BoundedSearch::available(64, 40)) GTEST_SKIP() << "no bf16 products";
  ThreadPool pool(2);
  const Mat<float> queries = random_mat(300, 40, 5);
  Mat<float> docs = random_mat(7000, 40, 6);
  BoundedSearch search(queries.view(), 20, pool);
  BestKeys best(300, 20);
  EXPECT_TRUE(search.promising(7000));
  EXPECT_FALSE(search.promising(100));
  EXPECT_TRUE(search.add(docs.view(), 0, {}, best).empty());
  for (size_t q = 0; q < 300; ++q) EXPECT_GE(best.keys(q).size(), 20U);
  for (size_t r = 0; r < docs.rows(); ++r) std::copy_n(docs.row(0), 40, docs.row(r));
  BestKeys others(300, 20);
  const auto left = search.add(docs.view(), 0, {}, others);
  EXPECT_EQ(search.group_begin(left.front()), 0U);
  EXPECT_EQ(search.group_end(left.back()), 300U);
  for (size_t q = 0; q < 300; ++q) EXPECT_TRUE(others.keys(q).empty());
  search.add(docs.view(), 0, {}, others);
  EXPECT_FALSE(search.promising(7000));
}

TEST(FlatBounds, RefusesWhatIsNotFinite) {
  ThreadPool pool(2);
  const Mat<float> queries = random_mat(80, 40, 8);
  Mat<float> docs = random_mat(5000, 40, 9);
  docs(4321, 7) = std::numeric_limits<float>::quiet_NaN();
  FlatSearch flat(queries.view(), 5, pool);
  try {
    flat.add(docs.view(), 1000);
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("document 5321 holds"), std::string::npos) << error.what();
  }
}

TEST(FlatSelect, AppendsAndKeeps) {
  for (const size_t n : {0, 1, 15, 16, 33, 64}) {
    const Mat<float> scores = random_mat(1, n + 1, n);
    std::vector<uint32_t> columns(n + kSelectPadding), wanted;
    std::vector<float> kept(n + kSelectPadding), values;
    for (size_t c = 0; c < n; ++c) {
      if (scores(0, c) < 0.1F) continue;
      wanted.push_back(static_cast<uint32_t>(100 + c));
      values.push_back(scores(0, c));
    }
    size_t count = append_at_least(scores.data(), 0.1F, n, 100, columns.data(), kept.data());
    EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), columns.begin(), columns.begin() + count));
    EXPECT_TRUE(std::equal(values.begin(), values.end(), kept.begin(), kept.begin() + count));
    const auto high = [](float v) { return v >= 0.7F; };
    count = keep_at_least(0.7F, count, columns.data(), kept.data());
    EXPECT_EQ(count, static_cast<size_t>(std::count_if(values.begin(), values.end(), high)));
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(kept[i], scores(0, columns[i] - 100));
  }
}

TEST(FlatSelect, SortsFalling) {
  Rng rng(4);
  for (const size_t n : {0, 1, 2, 64, 65, 1000, 5000}) {
    for (const int kind : {0, 1, 2, 3, 4}) {
      std::vector<uint64_t> keys(n), scratch(n);
      for (size_t i = 0; i < n; ++i) {
        const auto score = static_cast<float>(rng.normal());
        keys[i] = kind == 0   ? make_key(score, static_cast<uint32_t>(i))
                  : kind == 1 ? make_key(0.25F, static_cast<uint32_t>(i * 7919 % 5003))
                  : kind == 2 ? 5
                  : kind == 3 ? make_key(i == 3 ? 1e30F : score * 1e-6F, 1)  // one far off
                              : make_key(std::round(score), static_cast<uint32_t>(i));
      }
      std::vector<uint64_t> wanted = keys;
      std::sort(wanted.begin(), wanted.end(), std::greater<>());
      sort_falling(keys.data(), n, scratch.data());
      EXPECT_EQ(keys, wanted) << n << " keys of kind " << kind;
    }
  }
}

}  // namespace
}  // namespace akin::index
