// How long does a softmax loss over a batch take on the CPU, forward and backward: the fused
// operation against the same loss over matrices of cosines in torch's operations? Both in turns in
// one run, since a shared machine's speed changes by the second.
//
//   loss_bench [dims [seconds [threads]]]
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "loss/cosine_loss.h"
#include "loss/matryoshka.h"
#include "measure.h"

namespace {

using namespace akin;         // NOLINT: a benchmark's main file
using namespace akin::loss;   // NOLINT
using namespace akin::bench;  // NOLINT

at::Tensor vectors(int64_t rows, int64_t dim, Rng& rng) {
  auto out = at::empty({rows, dim}, at::kFloat);
  float* data = out.data_ptr<float>();
  for (int64_t i = 0; i < rows * dim; ++i) data[i] = static_cast<float>(rng.normal());
  return out;
}

// By matrices, as every device but the CPU has it.
at::Tensor by_matrices(const CosineLoss& loss, const LossInput& in,
                       const std::vector<int64_t>& dims) {
  CosinePlan plan = loss.plan(in);
  const auto cosines = prefix_cosines(in, plan.against, dims);
  at::Tensor sum;
  for (size_t k = 0; k < cosines.size(); ++k) {
    plan.statistics = k + 1 == cosines.size();
    const auto term = loss.from_cosines(cosines[k], plan, in).loss;
    sum = sum.defined() ? sum + term : term;
  }
  return sum;
}

struct Cost {
  double wall, processor;
};

template <typename Run>
Cost cost_of(LossInput& in, const Run& run, double* value) {
  in.queries = in.queries.detach().requires_grad_(true);
  in.documents = in.documents.detach().requires_grad_(true);
  const double processor = processor_seconds();
  const auto start = Clock::now();
  const auto loss = run();
  loss.backward();
  const Cost cost{since(start), processor_seconds() - processor};
  *value = loss.template item<double>();
  return cost;
}

std::string quartiles(std::vector<double> values, const char* name) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return fmt::format("\"{}_ms\":{:.2f},\"{}_quartiles_ms\":[{:.2f},{:.2f}]", name,
                     1e3 * values[n / 2], name, 1e3 * values[n / 4], 1e3 * values[3 * n / 4]);
}

void measure(int64_t rows, int64_t dim, const std::vector<int64_t>& dims, double seconds) {
  Rng rng(5);
  LossInput in;
  in.queries = vectors(rows, dim, rng);
  in.documents = vectors(rows, dim, rng) + in.queries;
  in.query_ids = at::arange(rows, at::kLong);
  in.document_ids = at::arange(rows, 2 * rows, at::kLong);
  in.document_ids[0] = in.document_ids[rows - 1];
  const auto inner = make_loss("infonce", {});
  const auto fused = make_matryoshka(make_loss("infonce", {}), {.dims = dims, .weights = {}});
  std::vector<double> fused_wall, fused_processor, matrices_wall, matrices_processor, ratios;
  double a = 0, b = 0;
  const auto begin = Clock::now();
  for (size_t run = 0; run < 3 || since(begin) < seconds; ++run) {
    const Cost one = cost_of(
        in, [&] { return fused->forward(in).loss; }, &a);
    const Cost other = cost_of(
        in, [&] { return by_matrices(*inner->on_cosines(), in, dims); }, &b);
    if (run == 0) continue;
    fused_wall.push_back(one.wall);
    fused_processor.push_back(one.processor);
    matrices_wall.push_back(other.wall);
    matrices_processor.push_back(other.processor);
    ratios.push_back(other.processor / one.processor);
  }
  std::sort(ratios.begin(), ratios.end());
  fmt::print(
      "{{\"question\":\"softmax "
      "loss\",\"rows\":{},\"dims\":[{}],\"threads\":{},\"n\":{},{},{},{},{},"
      "\"unit\":\"times less processor time\",\"value\":{:.2f},\"relative_difference\":{:.1e}}}\n",
      rows, fmt::join(dims, ","), at::get_num_threads(), ratios.size(),
      quartiles(fused_wall, "fused"), quartiles(fused_processor, "fused_processor"),
      quartiles(matrices_wall, "matrices"), quartiles(matrices_processor, "matrices_processor"),
      ratios[ratios.size() / 2], std::abs(a - b) / b);
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t dim = argc > 1 ? std::atoll(argv[1]) : 256;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 4;
  if (argc > 3) at::set_num_threads(std::atoi(argv[3]));
  for (const int64_t rows : {512, 1024, 2048}) {
    measure(rows, dim, {dim}, seconds);
    measure(rows, dim, {dim / 8, dim / 4, dim / 2, dim}, seconds);
  }
}
