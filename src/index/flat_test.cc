// Exact search against sorting all scores: ties, chunks, threads, dims, and bad input.
#include "index/flat.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "index/flat_select.h"

namespace akin::index {
namespace {

// Small integers over a power of two: every sum is exact in f32, and there are many ties.
Mat<float> vectors(size_t rows, size_t dims, uint32_t seed, int values) {
  Mat<float> out(rows, dims);
  uint32_t state = seed;
  for (size_t i = 0; i < rows * dims; ++i) {
    state = state * 1664525U + 1013904223U;
    out.data()[i] = static_cast<float>(static_cast<int>(state >> 16) % values - values / 2) / 8;
  }
  return out;
}

std::vector<uint32_t> shuffled_ranks(size_t n) {
  std::vector<uint32_t> out(n);
  std::iota(out.begin(), out.end(), 0U);
  uint32_t state = 7;
  for (size_t i = n; i > 1; --i) {
    state = state * 1664525U + 1013904223U;
    std::swap(out[i - 1], out[(state >> 8) % i]);
  }
  return out;
}

std::vector<Hit> expected(const Mat<float>& docs, const float* query, size_t k,
                          std::span<const uint32_t> ranks) {
  std::vector<Hit> all(docs.rows());
  for (size_t i = 0; i < docs.rows(); ++i) {
    double sum = 0;
    for (size_t d = 0; d < docs.cols(); ++d) sum += double{docs(i, d)} * query[d];
    all[i] = {static_cast<float>(sum), static_cast<uint32_t>(i)};
  }
  std::sort(all.begin(), all.end(), [&](const Hit& a, const Hit& b) {
    if (a.score != b.score) return a.score > b.score;
    return ranks.empty() ? a.doc < b.doc : ranks[a.doc] > ranks[b.doc];
  });
  all.resize(std::min(k, all.size()));
  return all;
}

std::vector<std::vector<Hit>> search(const Mat<float>& queries, const Mat<float>& docs, size_t k,
                                     size_t threads, size_t chunk, std::span<const uint32_t> ranks,
                                     bool backwards = false) {
  ThreadPool pool(threads);
  FlatSearch flat(queries.view(), k, pool);
  std::vector<size_t> begins;
  for (size_t begin = 0; begin < docs.rows(); begin += chunk) begins.push_back(begin);
  if (backwards) std::reverse(begins.begin(), begins.end());
  for (const size_t begin : begins) {
    const size_t n = std::min(chunk, docs.rows() - begin);
    flat.add(docs.view().row_range(begin, n), begin,
             ranks.empty() ? ranks : ranks.subspan(begin, n));
  }
  EXPECT_EQ(flat.documents(), docs.rows());
  return flat.results();
}

bool same(const std::vector<Hit>& a, const std::vector<Hit>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Hit& x, const Hit& y) {
    return x.score == y.score && x.doc == y.doc;
  });
}

TEST(FlatSearch, EqualsSorting) {
  for (const size_t dims : {1, 33, 128}) {
    for (const size_t count : {1, 31, 150}) {
      const Mat<float> queries = vectors(count, dims, 1, 3), docs = vectors(5000, dims, 2, 5);
      const std::vector<uint32_t> ranks = shuffled_ranks(docs.rows());
      for (const size_t k : {1, 10, 300, 700}) {  // 300: many documents are kept, then few
        const auto got = search(queries, docs, k, 2, 1777, ranks);
        ASSERT_EQ(got.size(), count);
        for (size_t q = 0; q < count; q += 7) {
          EXPECT_TRUE(same(got[q], expected(docs, queries.row(q), k, ranks)))
              << dims << " dims, " << count << " queries, k " << k << ", query " << q;
        }
      }
    }
  }
}

TEST(FlatSearch, NoMatterHow) {
  const Mat<float> queries = vectors(70, 20, 3, 9), docs = vectors(9000, 20, 4, 9);
  for (const std::vector<uint32_t>& ranks : {shuffled_ranks(docs.rows()), {}}) {
    for (const size_t k : {25, 300}) {
      const auto first = search(queries, docs, k, 1, docs.rows(), ranks);
      for (size_t q = 0; q < 70; ++q)
        EXPECT_TRUE(same(first[q], expected(docs, queries.row(q), k, ranks)));
      for (const size_t chunk : {1000, 257}) {
        for (const bool backwards : {false, true}) {
          const auto other = search(queries, docs, k, 2, chunk, ranks, backwards);
          for (size_t q = 0; q < 70; ++q) EXPECT_TRUE(same(first[q], other[q])) << chunk;
        }
      }
    }
  }
}

TEST(FlatSearch, AllEqualAndFewDocuments) {
  Mat<float> queries(3, 4), docs(50, 4);
  std::vector<uint32_t> ranks(50);
  std::iota(ranks.begin(), ranks.end(), 0U);
  docs(7, 0) = -0.0F;
  const auto got = search(queries, docs, 20, 2, 8, ranks);
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(got[0][i].doc, 49 - i);
  EXPECT_EQ(search(queries, docs, 20, 2, 8, {})[2][3].doc, 3U);
  EXPECT_EQ(search(queries, docs, 1000, 1, 50, ranks)[1].size(), 50U);
  ThreadPool pool(1);
  const FlatSearch none(queries.view(), 5, pool);
  EXPECT_TRUE(none.result(0).empty());
}

void expect_usage(std::string_view part, const std::function<void()>& f) {
  try {
    f();
    ADD_FAILURE() << "expected an error: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(error.message().find(part), std::string::npos) << error.what();
  }
}

TEST(FlatSearch, BadInput) {
  ThreadPool pool(2);
  Mat<float> queries(2, 4), docs(300, 4), wide(3, 5);
  expect_usage("expected at least 1", [&] { FlatSearch(queries.view(), 0, pool); });
  expect_usage("do not fit into memory",
               [&] { FlatSearch(queries.view(), size_t{1} << 60, pool); });
  FlatSearch flat(queries.view(), 5, pool);
  expect_usage("documents of 5 dims, queries of 4", [&] { flat.add(wide.view(), 0); });
  expect_usage("more than", [&] { flat.add(docs.view(), std::numeric_limits<uint32_t>::max()); });
  const std::vector<uint32_t> equal(300, 7);
  expect_usage("documents 10 and 11 have the same rank 7",
               [&] { flat.add(docs.view(), 10, equal); });
  docs(270, 2) = std::numeric_limits<float>::quiet_NaN();
  FlatSearch other(queries.view(), 5, pool);
  expect_usage("document 1270 holds a value", [&] { other.add(docs.view(), 1000); });
  queries(1, 3) = std::numeric_limits<float>::infinity();
  expect_usage("query 1 holds a value", [&] { FlatSearch(queries.view(), 5, pool); });
}

TEST(FlatSelect, EqualsALoop) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const size_t n : {0, 1, 15, 16, 17, 40, 128}) {
    Mat<float> scores = vectors(1, n + 1, 5, 7), thresholds = vectors(1, n + 1, 6, 7);
    if (n > 10) scores(0, 10) = nan;
    std::vector<uint32_t> columns(n + kSelectPadding), wanted;
    std::vector<float> kept(n + kSelectPadding);
    for (size_t c = 0; c < n; ++c) {
      if (scores(0, c) >= thresholds(0, c)) wanted.push_back(static_cast<uint32_t>(c));
    }
    const size_t count =
        select_at_least(scores.data(), thresholds.data(), n, columns.data(), kept.data());
    columns.resize(count);
    EXPECT_EQ(columns, wanted);
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(kept[i], scores(0, columns[i]));
    EXPECT_EQ(all_finite(scores.data(), n), n <= 10);
  }
}

TEST(FlatSelect, KeysAndTransposedScores) {
  for (const size_t n : {1, 15, 16, 17, 255, 256}) {
    const Mat<float> scores = vectors(1, n, 9, 7);
    const std::vector<uint32_t> ranks = shuffled_ranks(n);
    std::vector<uint64_t> wanted, keys(n);
    for (size_t i = 0; i < n; ++i) {
      if (scores(0, i) >= 0.125F) wanted.push_back(make_key(scores(0, i), ranks[i]));
    }
    keys.resize(append_keys(scores.data(), ranks.data(), 0.125F, n, keys.data()));
    EXPECT_EQ(keys, wanted);
    for (const size_t rows : {1, 3, 4, 9, 16}) {
      const Mat<float> in = vectors(rows, n, 3, 100);
      Mat<float> out(n, rows);
      transpose(in.data(), rows, n, out.data());
      for (size_t r = 0; r < rows; ++r) {
        for (size_t c = 0; c < n; ++c) ASSERT_EQ(out(c, r), in(r, c)) << rows << " x " << n;
      }
    }
  }
}

TEST(FlatSelect, LargestToFront) {
  for (const size_t n : {1, 2, 63, 64, 65, 500, 2001}) {
    for (const size_t kinds : {1, 3, 1000000}) {
      uint64_t state = n + kinds;
      std::vector<uint64_t> keys(n), scratch(n + kSelectPadding);
      for (uint64_t& key : keys) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        key = (state >> 20) % kinds << 40;
      }
      for (const size_t k : {size_t{1}, n / 3 + 1, (n + 1) / 2, n}) {
        std::vector<uint64_t> got = keys, sorted = keys;
        std::sort(sorted.begin(), sorted.end(), std::greater<>());
        EXPECT_EQ(move_largest_to_front(got.data(), n, k, scratch.data()), sorted[k - 1]);
        std::sort(got.begin(), got.begin() + static_cast<ptrdiff_t>(k), std::greater<>());
        EXPECT_TRUE(
            std::equal(got.begin(), got.begin() + static_cast<ptrdiff_t>(k), sorted.begin()));
      }
    }
  }
}

}  // namespace
}  // namespace akin::index
