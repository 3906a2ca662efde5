// The graph: recall, masks, growth, one thread twice, files there and back, files made up by
// somebody hostile.
#include "index/hnsw.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "index/test_vectors.h"
#include "kernels/elementwise.h"
#include "store/test_files.h"

namespace akin::index {
namespace {

using store::expect_error;
using store::TempFolder;

Mat<float> unit(size_t rows, size_t dims, uint64_t seed) {
  return decaying_unit_rows(rows, dims, seed, 4);
}

std::vector<RowHit> naive(const Mat<float>& rows, const float* query, size_t k, RowMask allowed) {
  std::vector<RowHit> all;
  for (size_t r = 0; r < rows.rows(); ++r) {
    if (allowed.empty() || (allowed[r / 64] >> (r % 64) & 1) != 0)
      all.push_back({kernels::dot(query, rows.row(r), rows.cols()), static_cast<uint32_t>(r)});
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const RowHit& a, const RowHit& b) { return a.score > b.score; });
  all.resize(std::min(all.size(), k));
  return all;
}

bool same(const std::vector<RowHit>& a, const std::vector<RowHit>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const RowHit& x, const RowHit& y) {
    return x.row == y.row && x.score == y.score;
  });
}

double recall(const Hnsw& graph, const Mat<float>& rows, const Mat<float>& queries,
              RowMask allowed) {
  size_t found = 0, all = 0;
  for (size_t q = 0; q < queries.rows(); ++q) {
    const auto wanted = naive(rows, queries.row(q), 10, allowed);
    const auto got = graph.search({queries.row(q), queries.cols()}, 10, 100, allowed);
    EXPECT_EQ(got.size(), wanted.size());
    EXPECT_TRUE(std::is_sorted(got.begin(), got.end(), [](const RowHit& a, const RowHit& b) {
      return a.score != b.score ? a.score > b.score : a.row < b.row;
    }));
    std::set<uint32_t> rows_found;
    for (const RowHit& hit : got) {
      rows_found.insert(hit.row);
      EXPECT_EQ(hit.score, kernels::dot(queries.row(q), rows.row(hit.row), rows.cols()));
      EXPECT_TRUE(allowed.empty() || (allowed[hit.row / 64] >> (hit.row % 64) & 1) != 0);
    }
    for (const RowHit& hit : wanted) found += rows_found.count(hit.row);
    all += wanted.size();
  }
  return static_cast<double>(found) / static_cast<double>(all);
}

TEST(Hnsw, FindsWhatExactSearchFinds) {
  constexpr size_t kRows = 3000, kDims = 36;
  const Mat<float> rows = unit(kRows, kDims, 1), queries = unit(50, kDims, 2);
  const auto graph = Hnsw::create(kDims, {});
  ThreadPool pool(3);
  EXPECT_TRUE(graph->search({queries.row(0), kDims}, 5, 50, {}).empty());
  uint64_t last = 0;
  graph->add(rows.view().row_range(0, 1), 0, pool);
  EXPECT_EQ(graph->search({queries.row(0), kDims}, 5, 50, {}).size(), 1U);
  graph->add(rows.view().row_range(1, 1999), 1, pool,
             [&](const Progress& progress) { last = progress.done; });
  EXPECT_EQ(last, 1999U);
  graph->add(rows.view().row_range(2000, 1000), 2000, pool);
  EXPECT_EQ(graph->rows(), kRows);
  EXPECT_GT(recall(*graph, rows, queries, {}), 0.97);
  Rng rng(5);
  for (const double share : {0.5, 0.1, 0.002, 0.0}) {
    std::vector<uint64_t> mask((kRows + 63) / 64);
    for (size_t r = 0; r < kRows; ++r) {
      if (rng.uniform() < share) mask[r / 64] |= uint64_t{1} << (r % 64);
    }
    if (share > 0) {
      EXPECT_GT(recall(*graph, rows, queries, mask), 0.97) << share;
    } else {
      EXPECT_TRUE(graph->search({queries.row(0), kDims}, 5, 50, mask).empty());
    }
  }
  const std::vector<uint64_t> shorter(3, ~uint64_t{0});  // rows behind a mask's end are out
  for (const RowHit& hit : graph->search({queries.row(0), kDims}, 20, 50, shorter))
    EXPECT_LT(hit.row, 192U);
  EXPECT_EQ(graph->search({queries.row(0), kDims}, 2 * kRows, 1, {}).size(), kRows);
}

TEST(Hnsw, OneThreadTwiceIsTheSameGraph) {
  const Mat<float> rows = unit(1500, 20, 3);
  const TempFolder folder;
  ThreadPool pool(1);
  for (const char* name : {"a", "b"}) {
    const auto graph = Hnsw::create(20, {8, 60, 7});
    graph->add(rows.view().row_range(0, 700), 0, pool);
    graph->add(rows.view().row_range(700, 800), 700, pool);
    graph->save(folder / name);
  }
  EXPECT_EQ(read_file(folder / "a"), read_file(folder / "b"));
}

TEST(Hnsw, EqualVectorsAndZeros) {
  Mat<float> rows(600, 5);
  for (size_t r = 0; r < 500; ++r) rows(r, r % 2) = 1;  // two kinds, and 100 zeros
  const auto graph = Hnsw::create(5, {4, 20, 1});
  ThreadPool pool(2);
  graph->add(rows.view(), 0, pool);
  const auto hits = graph->search({rows.row(0), 5}, 600, 600, {});
  ASSERT_EQ(hits.size(), 600U);  // a graph of equal vectors falls apart; answers must not
  EXPECT_TRUE(same(hits, naive(rows, rows.row(0), 600, {})));
}

TEST(Hnsw, ThereAndBack) {
  const Mat<float> rows = unit(2000, 24, 4), queries = unit(20, 24, 5);
  const TempFolder folder;
  ThreadPool pool(2);
  const auto graph = Hnsw::create(24, {6, 80, 9});
  graph->save(folder / "empty");
  EXPECT_EQ(Hnsw::load(folder / "empty", 24)->rows(), 0U);
  graph->add(rows.view().row_range(0, 1900), 0, pool);
  graph->save(folder / "graph");
  graph->save(folder / "graph");  // over an old one
  const auto loaded = Hnsw::load(folder / "graph", 24);
  for (size_t q = 0; q < 20; ++q) {
    const std::span<const float> query(queries.row(q), 24);
    EXPECT_TRUE(same(graph->search(query, 10, 40, {}), loaded->search(query, 10, 40, {})));
  }
  loaded->save(folder / "again");
  EXPECT_EQ(read_file(folder / "graph"), read_file(folder / "again"));
  ThreadPool one(1);  // grows on as if it had never been away
  for (Hnsw* g : {graph.get(), loaded.get()}) g->add(rows.view().row_range(1900, 100), 1900, one);
  graph->save(folder / "graph");
  loaded->save(folder / "again");
  EXPECT_EQ(read_file(folder / "graph"), read_file(folder / "again"));
}

TEST(Hnsw, SearchesBesideEachOther) {
  const Mat<float> rows = unit(2000, 16, 6);
  ThreadPool pool(1);
  const auto graph = Hnsw::create(16, {});
  graph->add(rows.view(), 0, pool);
  const auto wanted = graph->search({rows.row(5), 16}, 10, 64, {});
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 15; ++i)
        wrong += same(graph->search({rows.row(5), 16}, 10, 64, {}), wanted) ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Hnsw, InterruptedAndGoneOn) {
  const Mat<float> rows = unit(1000, 16, 7);
  ThreadPool pool(1);
  const auto graph = Hnsw::create(16, {}), straight = Hnsw::create(16, {});
  EXPECT_THROW(graph->add(rows.view(), 0, pool,
                          [](const Progress& p) {
                            if (p.done > 200) interrupt_flag() = true;
                          }),
               Error);
  interrupt_flag() = false;
  const size_t in = graph->rows();
  EXPECT_GT(in, 200U);
  EXPECT_LT(in, 1000U);
  EXPECT_EQ(graph->search({rows.row(3), 16}, 3, 50, {})[0].row, 3U);
  graph->add(rows.view().row_range(in, 1000 - in), in, pool);
  straight->add(rows.view(), 0, pool);
  const TempFolder folder;
  graph->save(folder / "a");
  straight->save(folder / "b");
  EXPECT_EQ(read_file(folder / "a"), read_file(folder / "b"));
}

TEST(Hnsw, BadInput) {
  expect_error(ErrorKind::usage, "expected at least 1", [] { Hnsw::create(0, {}); });
  expect_error(ErrorKind::usage, "1 links", [] { Hnsw::create(4, {1, 10, 1}); });
  const auto graph = Hnsw::create(4, {});
  ThreadPool pool(1);
  Mat<float> rows(3, 4), wide(3, 5);
  expect_error(ErrorKind::usage, "vectors of 5 dims", [&] { graph->add(wide.view(), 0, pool); });
  expect_error(ErrorKind::usage, "3 rows at 1", [&] { graph->add(rows.view(), 1, pool); });
  rows(1, 1) = NAN;
  expect_error(ErrorKind::usage, "vector 1 holds", [&] { graph->add(rows.view(), 0, pool); });
  expect_error(ErrorKind::usage, "a query of 4 dims", [&] {
    (void)graph->search({rows.row(1), 4}, 1, 1, {});
  });
  EXPECT_EQ(graph->rows(), 0U);
}

// Puts right both checksums of an altered file, as somebody hostile would.
std::string with_checksums(std::string bytes) {
  const std::string_view body = std::string_view(bytes).substr(128);
  const uint64_t hash = body.empty() ? 0 : hash64(body, 0);  // bodies below 4 MB are hashed at once
  std::memcpy(bytes.data() + 64, &hash, 8);
  const uint64_t head = hash64(std::string_view(bytes).substr(0, 120));
  std::memcpy(bytes.data() + 120, &head, 8);
  return bytes;
}

TEST(Hnsw, ForeignFiles) {
  const TempFolder folder;
  ThreadPool pool(1);
  const auto graph = Hnsw::create(8, {4, 20, 1});
  graph->add(unit(200, 8, 1).view(), 0, pool);
  graph->save(folder / "good");
  const std::string good = read_file(folder / "good");
  ASSERT_EQ(with_checksums(good), good);
  const auto bad = [&](const std::string& bytes, std::string_view part) {
    const auto path = folder.put("bad", bytes);
    expect_error(ErrorKind::bad_format, part, [&] { Hnsw::load(path, 8); });
  };
  bad("", "too short");
  bad(good.substr(0, 100), "too short");
  bad("x" + good.substr(1), "not a graph's file");
  bad(good.substr(0, good.size() - 4), "its length");
  bad(with_checksums(good + "1234"), "its length");
  expect_error(ErrorKind::bad_format, "made for vectors of 8 dims",
               [&] { Hnsw::load(folder / "good", 9); });
  expect_error(ErrorKind::not_found, "none", [&] { Hnsw::load(folder / "none", 8); });
  std::string altered = good;
  altered[good.size() - 3] ^= 1;
  bad(altered, "its contents are damaged");
  altered = good;
  altered[9] ^= 1;
  bad(altered, "its head is damaged");
  const auto with_word = [&](size_t at, uint32_t word) {
    std::string out = good;
    std::memcpy(out.data() + at, &word, 4);
    return with_checksums(out);
  };
  const size_t levels = 128, ground = levels + 200;
  bad(with_word(ground, 9), "row 0 has 9 links");
  bad(with_word(ground, 0x10001), "links, at most 8");
  bad(with_word(ground + 4, 200), "a link to row 200");
  bad(with_word(ground + 4, 0), "a link to row 0");
  bad(with_word(good.size() - 4, 0x7F800000), "vector 199 is not finite");
  altered = good;
  altered[levels] = 40;
  bad(with_checksums(altered), "row 0 is on level 40");
  bad(with_word(48, 200), "makes no sense");  // entry
}

// Any altered byte, checksums put right: loads or says no, and what loads can be searched.
TEST(Hnsw, HostileBytes) {
  const TempFolder folder;
  ThreadPool pool(1);
  const auto graph = Hnsw::create(4, {2, 10, 1});
  const Mat<float> rows = unit(60, 4, 1);
  graph->add(rows.view(), 0, pool);
  graph->save(folder / "good");
  const std::string good = read_file(folder / "good");
  Rng rng(11);
  for (int i = 0; i < 400; ++i) {
    std::string bytes = good;
    for (uint64_t n = 1 + rng.below(3); n > 0; --n)
      bytes[rng.below(bytes.size())] = static_cast<char>(rng.next());
    try {
      const auto loaded = Hnsw::load(folder.put("bad", with_checksums(bytes)), 4);
      (void)loaded->search({rows.row(1), 4}, 5, 20, {});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_format) << error.what();
    }
  }
}

}  // namespace
}  // namespace akin::index
