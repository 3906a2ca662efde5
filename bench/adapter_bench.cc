// What do task adapters, kept beside the base and mixed freely, cost the engine? Texts to vectors
// by the same folder, without an adapter and with the folder's adapters dealt out text by text, in
// turns; processor time. Prints one JSON line: the medians, and the median and spread of the ratio.
//
//   adapter_bench FOLDER TEXT [rounds [threads [dtype]]]    one line of TEXT a text
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "engine/cpu_encoder.h"
#include "measure.h"
#include "model/model.h"

namespace {

using namespace akin;         // NOLINT: a benchmark's main file
using namespace akin::bench;  // NOLINT

constexpr size_t kMostTexts = 2000;

struct Round {
  double seconds = 0;
  uint64_t tokens = 0;
};

Round encode(Encoder& encoder, std::span<const std::string_view> texts,
             const EncodeOptions& options) {
  Mat<float> out(texts.size(), encoder.info().dim);
  const double start = processor_seconds();
  const EncodeReport report = encoder.encode(texts, options, out.view());
  return {processor_seconds() - start, report.tokens};
}

void measure(const char* folder, std::span<const std::string_view> texts, size_t rounds,
             const engine::CpuOptions& cpu) {
  const std::unique_ptr<Encoder> encoder = engine::make_cpu_encoder(model::load_model(folder), cpu);
  const std::vector<std::string>& names = encoder->info().tasks;
  if (names.empty())
    throw_error(ErrorKind::usage, folder, "the folder has no adapters; take one that has some");
  EncodeOptions plain;  // the same tokens
  plain.prompt = "";
  plain.truncate = Truncate::right;
  EncodeOptions mixed = plain;
  for (size_t i = 0; i < texts.size(); ++i) mixed.tasks.push_back(names[i % names.size()]);

  std::vector<double> without, with, ratios;
  uint64_t tokens = 0;
  for (size_t i = 0; i <= rounds; ++i) {  // the first one warms up
    const Round base = encode(*encoder, texts, plain), lora = encode(*encoder, texts, mixed);
    tokens = base.tokens;
    if (i == 0) continue;
    without.push_back(base.seconds);
    with.push_back(lora.seconds);
    ratios.push_back(lora.seconds / base.seconds);
  }
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  fmt::print(
      R"({{"adapters":{},"texts":{},"tokens":{},"threads":{},"dtype":"{}","seconds":{:.3f},"with_adapters":{:.3f},"ratio":{:.3f},"ratio_min":{:.3f},"ratio_max":{:.3f}}})"
      "\n",
      names.size(), texts.size(), tokens, cpu.threads, precision_name(cpu.precision),
      median(without), median(with), median(ratios), *least, *most);
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int at, size_t otherwise) {
    return argc > at ? std::strtoull(argv[at], nullptr, 10) : otherwise;
  };
  if (argc < 3) {
    fmt::print(stderr, "usage: adapter_bench FOLDER TEXT [rounds [threads [f32|int8]]]\n");
    return 2;
  }
  try {
    const std::string text = read_file(argv[2]);
    const bool int8 = argc > 5 && std::string_view(argv[5]) == "int8";
    std::vector<std::string_view> texts = lines_of(text);
    texts.resize(std::min(texts.size(), kMostTexts));
    measure(argv[1], texts, std::max<size_t>(1, number(3, 9)),
            {.threads = number(4, 1), .precision = int8 ? Precision::int8 : Precision::f32});
  } catch (const std::exception& error) {
    fmt::print(stderr, "adapter_bench: {}\n", error.what());
    return 1;
  }
  return 0;
}
