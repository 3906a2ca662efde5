// What does exact search cost beyond its matrix product? Random unit vectors, the best 1000 of
// 100,000 documents for 10,000 queries of 512 dims by default:
//   flat_search_bench [queries [documents [dims [k [threads]]]]]
//   flat_search_bench QUERIES.npy DOCUMENTS.npy DIMS [k [threads]]    the first DIMS of given ones
// The product alone is taken in the same blocks, from the same float rows, and its scores are
// dropped; the documents' conversion to the kernels' form belongs to it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "index/flat.h"
#include "kernels/cpu.h"
#include "kernels/linear.h"
#include "store/vectors_file.h"

namespace {

using namespace akin;           // NOLINT: a benchmark's main file
using namespace akin::kernels;  // NOLINT

constexpr size_t kChunk = 50'000;  // documents that arrive at once

// On the clock, and of all cores together: the second also says something on a busy machine.
struct Time {
  double wall = 1e30, cpu = 1e30;
  void best_of(const Time& other) {
    wall = std::min(wall, other.wall);
    cpu = std::min(cpu, other.cpu);
  }
};

Time measure(const std::function<void()>& f) {
  const std::clock_t cpu = std::clock();
  const auto start = std::chrono::steady_clock::now();
  f();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
          static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC};
}

void normalise(Mat<float>& rows) {
  for (size_t r = 0; r < rows.rows(); ++r) {
    float sum = 1e-30F;
    for (size_t d = 0; d < rows.cols(); ++d) sum += rows(r, d) * rows(r, d);
    for (size_t d = 0; d < rows.cols(); ++d) rows(r, d) /= std::sqrt(sum);
  }
}

Mat<float> unit_vectors(size_t rows, size_t dims, uint64_t seed) {
  Rng rng(seed);
  Mat<float> out(rows, dims);
  for (size_t i = 0; i < rows * dims; ++i) out.data()[i] = static_cast<float>(rng.normal());
  normalise(out);
  return out;
}

Mat<float> unit_vectors(const char* path, size_t dims) {
  const Mat<float> all = store::read_npy(path);
  Mat<float> out(all.rows(), std::min(dims, all.cols()));
  for (size_t r = 0; r < out.rows(); ++r) std::copy_n(all.row(r), out.cols(), out.row(r));
  normalise(out);
  return out;
}

void multiply(ThreadPool& pool, const Mat<float>& queries, const Mat<float>& docs) {
  constexpr size_t kBlock = 128, kStrip = 256, kStrips = 16;
  const Backend backend = choose_backend(Precision::f32);
  const size_t dims = queries.cols(), blocks = (queries.rows() + kBlock - 1) / kBlock;
  std::vector<PackedLinear> packed(blocks);
  parallel_for(pool, blocks, 1, [&](size_t block, size_t) {
    const size_t begin = block * kBlock, n = std::min(kBlock, queries.rows() - begin);
    const auto read = [&](size_t row, std::span<float> out) {
      std::copy_n(queries.row(begin + row), dims, out.begin());
    };
    packed[block] = PackedLinear(backend, n, dims, read, {});
  });
  std::vector<Operand> strips(kStrips);
  std::vector<AlignedArray<float>> y(pool.size());
  for (auto& scores : y) scores.reset(kStrip * kBlock);
  for (size_t slab = 0; slab < docs.rows(); slab += kStrip * kStrips) {
    const size_t rows = std::min(kStrip * kStrips, docs.rows() - slab);
    const size_t n = (rows + kStrip - 1) / kStrip;
    const auto size = [&](size_t s) { return std::min(kStrip, rows - s * kStrip); };
    parallel_for(pool, n, 1, [&](size_t s, size_t) {
      strips[s].reserve(backend, size(s), dims);
      strips[s].set_rows(0, docs.view().row_range(slab + s * kStrip, size(s)));
    });
    parallel_for(pool, blocks, 1, [&](size_t block, size_t thread) {
      for (size_t s = 0; s < n; ++s) {
        packed[block].run(strips[s], size(s), {},
                          MatView<float>(y[thread].data(), size(s), packed[block].n()));
      }
    });
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, size_t fallback) {
    return argc > i ? static_cast<size_t>(std::strtoull(argv[i], nullptr, 10)) : fallback;
  };
  const bool given = argc > 3 && std::string_view(argv[1]).ends_with(".npy");
  const size_t dims = argument(3, 512), k = argument(4, 1000);
  ThreadPool pool(argument(5, usable_cpus()));
  const Mat<float> queries =
      given ? unit_vectors(argv[1], dims) : unit_vectors(argument(1, 10'000), dims, 1);
  const Mat<float> docs =
      given ? unit_vectors(argv[2], dims) : unit_vectors(argument(2, 100'000), dims, 2);
  const size_t count = queries.rows(), documents = docs.rows();
  Time product, search, sort;
  for (int run = 0; run < 3; ++run) {
    product.best_of(measure([&] { multiply(pool, queries, docs); }));
    std::optional<index::FlatSearch> flat;
    search.best_of(measure([&] {
      flat.emplace(queries.view(), k, pool);
      for (size_t begin = 0; begin < documents; begin += kChunk) {
        flat->add(docs.view().row_range(begin, std::min(kChunk, documents - begin)), begin);
      }
    }));
    sort.best_of(measure([&] { (void)flat->results(); }));
  }
  const double work =
      2e-9 * static_cast<double>(count) * static_cast<double>(documents * queries.cols());
  fmt::print(
      "{{\"isa\":\"{}\",\"threads\":{},\"queries\":{},\"documents\":{},\"dims\":{},\"k\":{},"
      "\"product_s\":{:.3f},\"product_gflops\":{:.0f},\"search_s\":{:.3f},\"sort_s\":{:.3f},"
      "\"search_over_product\":{:.3f},\"product_cpu_s\":{:.3f},\"search_cpu_s\":{:.3f},"
      "\"sort_cpu_s\":{:.3f},\"search_over_product_cpu\":{:.3f}}}\n",
      isa_name(active_isa()), pool.size(), count, documents, queries.cols(), k, product.wall,
      work / product.wall, search.wall, sort.wall, (search.wall + sort.wall) / product.wall,
      product.cpu, search.cpu, sort.cpu, (search.cpu + sort.cpu) / product.cpu);
}
