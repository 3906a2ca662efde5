// How fast does the CPU stack train: tokens per second, and what share of the machine's f32
// ceiling, forward and backward counted as three forwards of the products? The ceiling is taken
// between runs, for a shared machine's speed changes by the second.
//
//   train_stack_bench [layers hidden heads ffn [texts [longest [dropout [seconds]]]]]
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "kernels/ceiling.h"
#include "measure.h"
#include "nn/cpu_stack.h"

namespace {

using namespace akin;      // NOLINT: a benchmark's main file
using namespace akin::nn;  // NOLINT

using namespace akin::bench;  // NOLINT
// Seconds for one operation.
struct Cost {
  double wall = 0, processor = 0;
};
Cost ceiling(ThreadPool& pool) {
  std::atomic<double> work{0};
  const double before = processor_seconds();
  const auto start = Clock::now();
  pool.run([&](size_t) { work = kernels::spin_multiply_adds(500'000); });
  const double operations = static_cast<double>(pool.size()) * work;
  return {since(start) / operations, (processor_seconds() - before) / operations};
}

struct Weights {
  std::map<std::string, Mat<float>> values, gradients;
  StackTensors value_views, gradient_views;

  void put(const std::string& name, size_t rows, size_t cols, double mean, double scale) {
    Mat<float>& mat = values[name] = Mat<float>(rows, cols);
    for (size_t i = 0; i < rows * cols; ++i)
      mat.data()[i] = static_cast<float>(mean + scale * rng.normal());
    value_views[name] = {mat.view()};
    gradient_views[name] = {(gradients[name] = Mat<float>(rows, cols)).view()};
  }
  Rng rng{1};
};

Weights make_weights(const ArchSpec& arch) {
  Weights out;
  const auto dim = static_cast<size_t>(arch.hidden), ffn = static_cast<size_t>(arch.ffn_hidden);
  const auto linear = [&](const std::string& name, size_t rows, size_t cols) {
    out.put(name + ".weight", rows, cols, 0, 0.04);
    out.put(name + ".bias", 1, rows, 0, 0.02);
  };
  const auto norm = [&](const std::string& name) {
    out.put(name + ".weight", 1, dim, 1, 0.1);
    out.put(name + ".bias", 1, dim, 0, 0.1);
  };
  out.put("embed.token", static_cast<size_t>(arch.vocab_size), dim, 0, 0.05);
  out.put("embed.position", 512, dim, 0, 0.05);
  out.put("embed.type", 2, dim, 0, 0.05);
  norm("embed.norm");
  for (int64_t i = 0; i < arch.layers; ++i) {
    const std::string layer = "layer." + std::to_string(i) + ".";
    for (const char* side : {"q", "k", "v", "out"}) linear(layer + "attn." + side, dim, dim);
    linear(layer + "ffn.up", ffn, dim);
    linear(layer + "ffn.down", dim, ffn);
    norm(layer + "attn.norm");
    norm(layer + "ffn.norm");
  }
  return out;
}

struct Shape {
  ArchSpec arch;
  TokenBatch batch;
  double dropout = 0, seconds = 4;

  double forward_operations() const {
    const auto dim = static_cast<double>(arch.hidden), ffn = static_cast<double>(arch.ffn_hidden);
    double sum = 2 * static_cast<double>(batch.tokens()) * (4 * dim * dim + 2 * dim * ffn);
    for (size_t b = 0; b < batch.size(); ++b) {
      const auto length = static_cast<double>(batch.text(b).size());
      sum += 4 * length * length * dim;
    }
    return sum * static_cast<double>(arch.layers);
  }
};

void measure(const Shape& shape, Weights& weights, TrainPrecision precision, size_t threads,
             bool recompute) {
  ThreadPool pool(threads);
  StackOptions options;
  options.precision = precision;
  options.dropout = options.attention_dropout = shape.dropout;
  options.recompute = recompute;
  const auto stack = CpuStack::make(shape.arch, options, pool);
  const size_t tokens = shape.batch.tokens(), dim = static_cast<size_t>(shape.arch.hidden);
  Mat<float> out(tokens, dim), d_out(tokens, dim);
  for (size_t i = 0; i < tokens * dim; ++i) d_out.data()[i] = 0.01F * static_cast<float>(i % 7);
  std::vector<double> pack, forward, backward, shares, processor_shares;
  const auto begin = Clock::now();
  for (size_t run = 0; run < 3 || since(begin) < shape.seconds; ++run) {
    const Cost before = ceiling(pool);
    const double processor = processor_seconds();
    auto start = Clock::now();
    stack->set_weights(weights.value_views);
    pack.push_back(since(start));
    start = Clock::now();
    const auto pass = stack->forward(shape.batch, run + 1, 0, true, out.view());
    forward.push_back(since(start));
    start = Clock::now();
    stack->backward(*pass, d_out.view(), weights.gradient_views);
    backward.push_back(since(start));
    const double all = pack.back() + forward.back() + backward.back();
    const double used = processor_seconds() - processor;
    const Cost after = ceiling(pool);
    const double operations = 3 * shape.forward_operations() / 2;
    shares.push_back(operations * (before.wall + after.wall) / all);
    processor_shares.push_back(operations * (before.processor + after.processor) / used);
  }
  const double all = median(pack) + median(forward) + median(backward);
  fmt::print(
      "{{\"question\":\"train stack\",\"layers\":{},\"hidden\":{},\"ffn\":{},\"precision\":\"{}\","
      "\"threads\":{},\"recompute\":{},\"dropout\":{},\"tokens\":{},\"n\":{},\"unit\":\"tokens/s\","
      "\"value\":{:.0f},\"gflops\":{:.1f},\"share_of_f32_ceiling\":{:.3f},\"share_processor_time\":"
      "{:.3f},\"pack_ms\":{:.1f},"
      "\"forward_ms\":{:.1f},\"backward_ms\":{:.1f}}}\n",
      shape.arch.layers, shape.arch.hidden, shape.arch.ffn_hidden,
      precision == TrainPrecision::f32 ? "f32" : "bf16", threads, recompute, shape.dropout, tokens,
      shares.size(), static_cast<double>(tokens) / all, 3 * shape.forward_operations() / all / 1e9,
      median(shares), median(processor_shares), 1e3 * median(pack), 1e3 * median(forward),
      1e3 * median(backward));
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int index, int64_t otherwise) {
    return argc > index ? std::atoll(argv[index]) : otherwise;
  };
  Shape shape;
  shape.arch.family = "bert";
  shape.arch.vocab_size = 8000;
  shape.arch.layers = argument(1, 4);
  shape.arch.hidden = argument(2, 312);
  shape.arch.heads = argument(3, 12);
  shape.arch.head_dim = shape.arch.hidden / shape.arch.heads;
  shape.arch.ffn_hidden = argument(4, 1200);
  shape.arch.type_vocab = 2;
  Rng rng(3);
  const auto longest = static_cast<uint64_t>(argument(6, 60));
  for (int64_t b = 0; b < argument(5, 128); ++b) {
    const uint64_t length = 5 + rng.below(longest - 4);
    for (uint64_t i = 0; i < length; ++i)
      shape.batch.ids.push_back(static_cast<int32_t>(rng.below(8000)));
    shape.batch.offsets.push_back(static_cast<uint32_t>(shape.batch.ids.size()));
  }
  shape.dropout = argc > 7 ? std::atof(argv[7]) : 0;
  shape.seconds = argc > 8 ? std::atof(argv[8]) : 4;
  Weights weights = make_weights(shape.arch);
  for (const size_t threads : {1, 2}) {
    measure(shape, weights, TrainPrecision::f32, threads, false);
    if (bf16_available()) measure(shape, weights, TrainPrecision::bf16, threads, false);
  }
  measure(shape, weights, TrainPrecision::f32, 2, true);
  if (bf16_available()) measure(shape, weights, TrainPrecision::bf16, 2, true);
}
