// How fast are the packed products, per instruction set, against the machine's f32 ceiling in the
// same run? One thread.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "base/rng.h"
#include "kernels/cpu.h"
#include "kernels/linear.h"

namespace {

using namespace akin;           // NOLINT: a benchmark's main file
using namespace akin::kernels;  // NOLINT

double median_seconds(const std::function<void()>& f) {
  std::vector<double> runs;
  for (int r = 0; r < 15; ++r) {
    const auto start = std::chrono::steady_clock::now();
    f();
    runs.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(runs.begin(), runs.end());
  return runs[runs.size() / 2];
}

void measure(Precision precision, size_t rows, size_t n, size_t k) {
  Rng rng(1);
  const Backend backend = choose_backend(precision);
  Mat<float> x(rows, k), y(rows, n);
  for (size_t i = 0; i < rows * k; ++i) x.data()[i] = static_cast<float>(rng.normal());
  const PackedLinear linear(backend, n, k,
                            [&](size_t, std::span<float> out) {
                              for (auto& v : out) v = static_cast<float>(rng.uniform() - 0.5);
                            },
                            {});
  Operand operand;
  operand.reserve(backend, rows, k);
  const double convert = median_seconds([&] { operand.set_rows(0, x.view()); });
  const double product = median_seconds([&] { linear.run(operand, rows, {}, y.view()); });
  const double gelu = median_seconds([&] {
    linear.run(operand, rows, {EpilogueKind::activate, Activation::gelu_erf}, y.view());
  });
  const double work = 2.0 * static_cast<double>(rows * n * k) / 1e9;
  fmt::print(
      "{{\"isa\":\"{}\",\"backend\":\"{}\",\"rows\":{},\"n\":{},\"k\":{},\"gflops\":{:.1f},"
      "\"gflops_gelu\":{:.1f},"
      "\"gflops_with_conversion\":{:.1f}}}\n",
      isa_name(active_isa()), backend_name(backend), rows, n, k, work / product, work / gelu,
      work / (product + convert));
}

}  // namespace

int main() {
  for (const Isa isa : usable_isas()) {
    if (isa == Isa::baseline) continue;
    set_isa(isa);
    for (const auto& [n, k] : {std::pair<size_t, size_t>{936, 312},
                               {1200, 312},
                               {312, 1200},
                               {1536, 384},
                               {384, 1536},
                               {3072, 768},
                               {768, 3072}}) {
      measure(Precision::f32, 256, n, k);
      measure(Precision::int8, 256, n, k);
    }
    measure(Precision::f32, 128, 1536, 384);
    measure(Precision::f32, 64, 1536, 384);
    measure(Precision::f32, 16, 1536, 384);
  }
}
