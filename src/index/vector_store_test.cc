// The store against naive scans over all codes, masks, ties, threads; crashes, foreign files, a
// full disk; readers beside a writer.
#include "index/vector_store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <fstream>
#include <functional>

#include "base/file.h"
#include "base/rng.h"
#include "index/test_vectors.h"
#include "kernels/elementwise.h"
#include "store/test_files.h"

namespace akin::index {
namespace {

using store::expect_error;

class VectorStoreTest : public testing::Test {
 protected:
  const store::TempFolder temporary_;
  const std::filesystem::path folder_ = temporary_ / "vectors";
};

// Few different values, and every vector several times: ties everywhere.
Mat<float> tied(size_t rows, size_t dims, uint64_t seed) {
  Mat<float> out(rows, dims);
  Rng rng(seed);
  for (size_t r = 0; r < rows; ++r) {
    if (r % 3 == 2) {
      std::copy_n(out.row(rng.below(r)), dims, out.row(r));
      continue;
    }
    for (size_t d = 0; d < dims; ++d) out(r, d) = static_cast<float>(rng.below(5)) / 4 - 0.5F;
  }
  return out;
}
Mat<float> unit(size_t rows, size_t dims, uint64_t seed) {
  return decaying_unit_rows(rows, dims, seed, 8);
}

std::vector<uint64_t> random_mask(size_t rows, double share, uint64_t seed) {
  std::vector<uint64_t> out((rows + 63) / 64);
  Rng rng(seed);
  for (size_t r = 0; r < rows; ++r) {
    if (rng.uniform() < share) out[r / 64] |= uint64_t{1} << (r % 64);
  }
  return out;
}

std::vector<RowHit> naive(size_t rows, size_t k, RowMask allowed,
                          const std::function<float(size_t)>& score) {
  std::vector<RowHit> all;
  for (size_t r = 0; r < rows; ++r) {
    if (allowed.empty() || (allowed[r / 64] >> (r % 64) & 1) != 0)
      all.push_back({score(r), static_cast<uint32_t>(r)});
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const RowHit& a, const RowHit& b) { return a.score > b.score; });
  all.resize(std::min(all.size(), k));
  return all;
}

void expect_same(const std::vector<RowHit>& got, const std::vector<RowHit>& wanted,
                 std::string_view what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].row, wanted[i].row) << what << ", place " << i;
    ASSERT_EQ(got[i].score, wanted[i].score) << what << ", place " << i;
  }
}

TEST_F(VectorStoreTest, ExactScanIsTheNaiveOne) {
  constexpr size_t kRows = 7000, kDims = 52;
  const Mat<float> rows = tied(kRows, kDims, 1), queries = tied(70, kDims, 2);
  const auto store = VectorStore::create(folder_, {kDims, Code::f32, {}});
  store->append(rows.view().row_range(0, 1000));
  store->append(rows.view().row_range(1000, kRows - 1000));
  ASSERT_EQ(store->rows(), kRows);
  ThreadPool one(1), three(3);
  for (const double share : {2.0, 0.6, 0.05, 0.0}) {
    const std::vector<uint64_t> mask = random_mask(kRows, share, 5);
    const RowMask allowed = share > 1 ? RowMask{} : RowMask{mask};
    for (const size_t k : {1, 10, 3000, 9000}) {
      const CodeSpec code{Code::f32, kDims};
      const auto many = store->scan(queries.view(), k, code, allowed, three);
      for (const size_t q : {0, 13, 66, 69}) {
        const auto wanted = naive(kRows, k, allowed, [&](size_t r) {
          return kernels::dot(queries.row(q), rows.row(r), kDims);
        });
        expect_same(many[q], wanted, "many");
        expect_same(store->scan(queries.view().row_range(q, 1), k, code, allowed, one)[0], wanted,
                    "single");
      }
    }
  }
}

// Every code, at full length and of prefixes, kept and on the fly: against scores from decoded
// rows.
TEST_F(VectorStoreTest, Codes) {
  constexpr size_t kRows = 700, kDims = 100;
  const Mat<float> rows = unit(kRows, kDims, 3), queries = unit(9, kDims, 4);
  for (const bool unit_prefixes : {true, false}) {
    VectorStoreSpec spec{kDims, Code::f16, {}};
    spec.unit_prefixes = unit_prefixes;
    for (const Code code : {Code::f32, Code::f16, Code::int8, Code::binary}) {
      spec.extra.push_back({code, 40});
      if (code != Code::f16) spec.extra.push_back({code, kDims});
    }
    const auto folder = folder_ / (unit_prefixes ? "unit" : "plain");
    const auto store = VectorStore::create(folder, spec);
    store->append(rows.view());
    std::vector<CodeSpec> codes = spec.extra;
    codes.push_back({Code::f16, kDims});
    codes.push_back({Code::f16, 7});
    codes.push_back({Code::f32, 33});
    ThreadPool pool(2);
    for (const CodeSpec& code : codes) {
      const auto got = store->scan(queries.view(), kRows, code, {}, pool);
      for (size_t q = 0; q < queries.rows(); ++q) {
        ASSERT_EQ(got[q].size(), kRows);
        for (const RowHit& hit : got[q]) {
          double sum = 0, a = 0, b = 0, bits = 0;
          for (size_t d = 0; d < code.dims; ++d) {
            const double x = queries(q, d), y = rows(hit.row, d);
            sum += x * y;
            a += x * x;
            b += y * y;
            bits += (x > 0) != (y > 0) ? 1 : 0;
          }
          const bool scaled = unit_prefixes && code.dims < kDims;
          const double wanted = code.code == Code::binary
                                    ? 1 - 2 * bits / static_cast<double>(code.dims)
                                    : sum / (scaled ? std::sqrt(a * b) : 1);
          const double error = code.code == Code::int8 ? 0.02 : 1e-3;
          ASSERT_NEAR(hit.score, wanted, error) << code_name(code.code) << ' ' << code.dims;
        }
      }
      const std::vector<uint64_t> thin = random_mask(kRows, 0.03, 6);
      const auto some = store->scan(queries.view(), 5, code, thin, pool);
      std::vector<RowHit> wanted;
      for (const RowHit& hit : got[2]) {
        if (wanted.size() < 5 && (thin[hit.row / 64] >> (hit.row % 64) & 1) != 0)
          wanted.push_back(hit);
      }
      expect_same(some[2], wanted, "thin mask");
    }
  }
}

TEST_F(VectorStoreTest, ReadsBackWhatWasGiven) {
  const Mat<float> rows = unit(20, 37, 8);
  std::vector<float> out(37);
  for (const Code full : {Code::f32, Code::f16}) {
    const auto store = VectorStore::create(folder_ / code_name(full), {37, full, {}});
    store->append(rows.view());
    for (uint32_t r = 0; r < 20; ++r) {
      store->read(r, out);
      for (size_t d = 0; d < 37; ++d) EXPECT_NEAR(out[d], rows(r, d), full == Code::f32 ? 0 : 3e-4);
    }
  }
}

// What a crash leaves behind the count is cut; what the count says is there stays.
TEST_F(VectorStoreTest, CrashesAndReopening) {
  const VectorStoreSpec spec{24, Code::f32, {{Code::int8, 24}, {Code::binary, 16}}};
  const Mat<float> rows = unit(50, 24, 9);
  ThreadPool pool(1);
  std::vector<RowHit> before;
  {
    const auto store = VectorStore::create(folder_, spec);
    store->append(rows.view().row_range(0, 30));
    before = store->scan(rows.view().row_range(3, 1), 30, {Code::f32, 24}, {}, pool)[0];
    store->append(rows.view().row_range(30, 20));
  }
  for (const char* name : {"vectors.f32", "codes.int8.24"}) {  // a torn row
    std::ofstream(folder_ / name, std::ios::app) << "torn";
  }
  const auto reader = VectorStore::open(folder_, spec, 30, false);
  EXPECT_EQ(std::filesystem::file_size(folder_ / "vectors.f32"), 64U + 50 * 128 + 4);
  const auto writer = VectorStore::open(folder_, spec, 30, true);
  EXPECT_EQ(std::filesystem::file_size(folder_ / "vectors.f32"), 64U + 30 * 128);
  EXPECT_EQ(std::filesystem::file_size(folder_ / "codes.binary.16"), 64U + 30 * 8);
  writer->append(rows.view().row_range(0, 5));
  for (const VectorStore* store : {reader.get(), writer.get()}) {
    auto got = store->scan(rows.view().row_range(3, 1), 35, {Code::f32, 24}, {}, pool)[0];
    std::erase_if(got, [](const RowHit& hit) { return hit.row >= 30; });
    expect_same(got, before, "after a crash");
  }
  EXPECT_EQ(writer->rows(), 35U);
  expect_error(ErrorKind::usage, "is there already", [&] { VectorStore::create(folder_, spec); });
}

TEST_F(VectorStoreTest, ForeignFiles) {
  const VectorStoreSpec spec{24, Code::f32, {{Code::int8, 16}}};
  VectorStore::create(folder_, spec)->append(unit(4, 24, 1).view());
  expect_error(ErrorKind::bad_format, "holds 4 rows, the index says 5",
               [&] { VectorStore::open(folder_, spec, 5, true); });
  expect_error(ErrorKind::bad_format, "rows, at most",
               [&] { VectorStore::open(folder_, spec, SIZE_MAX, true); });
  VectorStoreSpec other = spec;
  other.dims = 25;
  expect_error(ErrorKind::bad_format, "holds f32 of 24 dims",
               [&] { VectorStore::open(folder_, other, 4, true); });
  other = spec;
  other.unit_prefixes = false;
  expect_error(ErrorKind::bad_format, "prefixes of unit length",
               [&] { VectorStore::open(folder_, other, 4, true); });
  const std::string good = read_file(folder_ / "vectors.f32");
  for (size_t i = 0; i < 64; ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x11);
    write_file(folder_ / "vectors.f32", bad);
    EXPECT_THROW(VectorStore::open(folder_, spec, 4, true), Error) << i;
  }
  for (const size_t size : {0, 10, 63}) {
    write_file(folder_ / "vectors.f32", good.substr(0, size));
    expect_error(ErrorKind::bad_format, "too short",
                 [&] { VectorStore::open(folder_, spec, 4, true); });
  }
}

// Codes that are lost, cut or foreign: a reader names the remedy and changes nothing, a writer
// makes them again, to the same bytes.
TEST_F(VectorStoreTest, CodesAreMadeAgain) {
  const VectorStoreSpec spec{24, Code::f32, {{Code::int8, 16}, {Code::binary, 24}}};
  VectorStore::create(folder_, spec)->append(unit(4, 24, 1).view());
  for (const char* name : {"codes.int8.16", "codes.binary.24"}) {
    const auto path = folder_ / name;
    const std::string good = read_file(path);
    std::string foreign = good;
    foreign[9] = static_cast<char>(foreign[9] ^ 0x11);
    const std::string zeros = good.substr(0, 64) + std::string(good.size() - 64, '\0');
    for (const std::string& bad :
         {std::string(), good.substr(0, 63), good.substr(0, good.size() - 1), foreign, zeros}) {
      write_file(path, bad);
      expect_error(ErrorKind::bad_format, "makes them again, such as akin index compact",
                   [&] { VectorStore::open(folder_, spec, 4, false); });
      EXPECT_EQ(read_file(path), bad);
      EXPECT_EQ(VectorStore::open(folder_, spec, 4, true)->rows(), 4U);
      EXPECT_EQ(read_file(path), good);
    }
    std::filesystem::remove(path);
    write_file(path.string() + ".tmp", "of an interrupted one");
    expect_error(ErrorKind::not_found, "makes them again",
                 [&] { VectorStore::open(folder_, spec, 4, false); });
    VectorStore::open(folder_, spec, 4, true);
    EXPECT_EQ(read_file(path), good);
    EXPECT_FALSE(std::filesystem::exists(path.string() + ".tmp"));
  }
}

// Codes of f32 beside vectors in f16 are not those of the f16 to the byte, and good all the same.
TEST_F(VectorStoreTest, CodesBesideHalvesAreKept) {
  const VectorStoreSpec spec{
      24, Code::f16, {{Code::int8, 3}, {Code::int8, 24}, {Code::binary, 8}, {Code::f32, 5}}};
  VectorStore::create(folder_, spec)->append(unit(500, 24, 3).view());
  const auto read_all = [&] {
    std::vector<std::string> out;
    for (const char* name : {"codes.int8.3", "codes.int8.24", "codes.binary.8", "codes.f32.5"})
      out.push_back(read_file(folder_ / name));
    return out;
  };
  const auto before = read_all();
  EXPECT_EQ(VectorStore::open(folder_, spec, 500, false)->rows(), 500U);
  EXPECT_EQ(VectorStore::open(folder_, spec, 500, true)->rows(), 500U);
  EXPECT_EQ(read_all(), before);
}

TEST_F(VectorStoreTest, BadInput) {
  const auto bad = [&](VectorStoreSpec spec, std::string_view part) {
    expect_error(ErrorKind::usage, part, [&] { VectorStore::create(folder_ / "x", spec); });
  };
  bad({0, Code::f32, {}}, "vectors of 0 dims");
  bad({8, Code::int8, {}}, "expected f32 or f16");
  bad({8, Code::f32, {{Code::int8, 9}}}, "a code int8 of 9 dims, but vectors have 8");
  bad({8, Code::f32, {{Code::int8, 8}, {Code::int8, 8}}}, "twice");
  bad({8, Code::f32, {{Code::f32, 8}}}, "twice");
  const auto store = VectorStore::create(folder_, {8, Code::f32, {{Code::f16, 4}}});
  Mat<float> rows(3, 8);
  EXPECT_TRUE(
      store->scan(rows.view(), 3, {Code::f16, 4}, {}, *std::make_unique<ThreadPool>(2))[0].empty());
  rows(2, 7) = NAN;
  expect_error(ErrorKind::usage, "vector 2 holds a value that is not a finite number",
               [&] { store->append(rows.view()); });
  rows(2, 7) = 70000;
  expect_error(ErrorKind::usage, "f16 cannot hold", [&] { store->append(rows.view()); });
  expect_error(ErrorKind::usage, "vectors of 7 dims, the store has 8",
               [&] { store->append(rows.view().col_range(0, 7)); });
  EXPECT_EQ(store->rows(), 0U);
  rows(2, 7) = 1;
  store->append(rows.view());
  ThreadPool pool(1);
  expect_error(ErrorKind::usage, "there are f32 of 1 to 8 dims, f16 of 4 dims", [&] {
    store->scan(rows.view(), 1, {Code::int8, 8}, {}, pool);
  });
  expect_error(ErrorKind::usage, "queries of 3 dims", [&] {
    store->scan(rows.view().col_range(0, 3), 1, {Code::f32, 8}, {}, pool);
  });
  rows(0, 0) = INFINITY;
  expect_error(ErrorKind::usage, "query 0 holds", [&] {
    store->scan(rows.view(), 1, {Code::f32, 8}, {}, pool);
  });
  expect_error(ErrorKind::usage, "without stages", [&] {
    store->funnel({rows.row(1), 8}, {}, {}, pool);
  });
}

// A child that may write files of 20,000 bytes at most: an append that does not fit changes
// nothing.
TEST_F(VectorStoreTest, FullDisk) {
  const VectorStoreSpec spec{64, Code::f32, {{Code::binary, 64}, {Code::int8, 64}}};
  const Mat<float> rows = unit(100, 64, 2);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{20'000, 20'000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(10);
    const auto store = VectorStore::create(folder_, spec);
    store->append(rows.view().row_range(0, 70));
    try {
      store->append(rows.view().row_range(70, 30));
      _exit(11);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::io || store->rows() != 70) _exit(12);
    }
    store->append(rows.view().row_range(70, 5));  // what fits still goes
    _exit(store->rows() == 75 ? 0 : 13);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 0);
  const auto store = VectorStore::open(folder_, spec, 75, false);
  std::vector<float> out(64);
  for (uint32_t r = 0; r < 75; ++r) {
    store->read(r, out);
    EXPECT_TRUE(std::equal(out.begin(), out.end(), rows.row(r)));
  }
  EXPECT_EQ(std::filesystem::file_size(folder_ / "codes.binary.64"), 64U + 75 * 8);
}

TEST_F(VectorStoreTest, ReadersBesideAWriter) {
  const VectorStoreSpec spec{16, Code::f32, {{Code::int8, 16}}};
  const Mat<float> rows = unit(3000, 16, 5);
  const auto writer = VectorStore::create(folder_, spec);
  writer->append(rows.view().row_range(0, 1000));
  const auto reader = VectorStore::open(folder_, spec, 1000, false);
  ThreadPool pool(1);
  const auto before = reader->scan(rows.view().row_range(7, 1), 20, {Code::int8, 16}, {}, pool)[0];
  std::thread writing([&] {
    for (size_t r = 1000; r < 3000; r += 50) writer->append(rows.view().row_range(r, 50));
  });
  for (int i = 0; i < 200; ++i) {
    expect_same(reader->scan(rows.view().row_range(7, 1), 20, {Code::int8, 16}, {}, pool)[0],
                before, "beside a writer");
  }
  writing.join();
  EXPECT_EQ(writer->rows(), 3000U);
}

}  // namespace
}  // namespace akin::index
