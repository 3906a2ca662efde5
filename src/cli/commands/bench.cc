// akin bench: throughput and latency of a model on a text file, as one JSON line that other
// engines' runners also print.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/terminal.h"
#include "store/vectors_file.h"

namespace akin::cli {
namespace {

enum class Mode : uint8_t { bulk, query, longtext };
std::span<const std::string_view> choices(Mode) {
  static constexpr std::string_view kWords[] = {"bulk", "query", "long"};
  return kWords;
}

struct BenchOptions {
  std::vector<std::string> texts;
  Mode mode = Mode::bulk;
  size_t repeat = 3;
  size_t n = 0;
  double seconds = 5;
  std::string dump;
  ModelOptions model;
  EncodeFlags encode;
  InputOptions input;
  BenchOptions() { encode.truncate = Truncate::right; }
  template <typename Visitor>
  void fields(Visitor& v) {
    v("texts=FILE", texts, "texts to embed, one a row");
    v("mode=MODE", mode, "bulk: all texts in one call; query and long: one text a call");
    v("repeat=N", repeat, "bulk: times over all texts; the median counts");
    v("n=N", n, "only the first N texts; 0 = all");
    v("seconds=S", seconds, "query and long: how long to measure");
    v("dump=FILE", dump, "also write the vectors of the first 200 texts, as .npy");
    model.fields(v);
    encode.fields(v);
    input.fields(v);
  }
};

constexpr CommandInfo kInfo = {
    "bench", "throughput and latency of a model on a text file",
    "Measures the whole way from text to vector. Prints a table, or with --json one line: tokens "
    "and texts a second, p50 and p99 in milliseconds of one call, peak memory, time to load and "
    "time from the start of loading to the first vector.",
    "akin bench --model ./all-MiniLM-L6-v2 --texts sentences.txt --threads 1\n"
    "akin bench --model ./bge-base-en --texts queries.txt --mode query --dtype int8 --json"};

constexpr size_t kDumped = 200;

struct Figures {
  std::vector<double> call_ms;
  double total_seconds = 0;  // bulk: of the median repeat
  uint64_t texts = 0, tokens = 0, truncated = 0;
};

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1,
                         static_cast<size_t>(q * static_cast<double>(values.size())))];
}

std::vector<std::string> read_texts(const BenchOptions& options, const Context& context) {
  if (options.texts.empty())
    throw_error(ErrorKind::usage, "--texts", "is needed: a file with one text a row");
  InputReader reader(options.texts, options.input, context);
  std::vector<std::string> out;
  for (InputText row; (options.n == 0 || out.size() < options.n) && reader.next(row);) {
    check_interrupted();
    out.push_back(std::move(row.text));
  }
  if (out.empty()) throw_error(ErrorKind::usage, "--texts", "holds no texts");
  return out;
}

Figures run_bulk(std::span<const std::string_view> texts, const BenchOptions& options,
                 Encoder& encoder, EncodeOptions encode, Context& context) {
  Figures out;
  Mat<float> vectors(texts.size(), resolve_dims(encoder.info(), encode));
  encode.progress = [&](const Progress& step) { context.progress(step); };
  encoder.encode(texts.first(std::min<size_t>(texts.size(), 256)), encode,
                 vectors.view().row_range(0, std::min<size_t>(texts.size(), 256)));
  for (size_t r = 0; r < options.repeat; ++r) {
    check_interrupted();
    const Stopwatch watch;
    const auto report = encoder.encode(texts, encode, vectors.view());
    out.call_ms.push_back(watch.seconds() * 1e3);
    out.texts = report.texts;
    out.tokens = report.tokens;
    out.truncated = report.truncated.size();
  }
  out.total_seconds = quantile(out.call_ms, 0.5) / 1e3;
  return out;
}

Figures run_one_by_one(std::span<const std::string_view> texts, const BenchOptions& options,
                       Encoder& encoder, const EncodeOptions& encode) {
  Figures out;
  Mat<float> vector(1, resolve_dims(encoder.info(), encode));
  for (size_t i = 0; i < std::min<size_t>(texts.size(), options.mode == Mode::query ? 20 : 2);
       ++i) {
    encoder.encode(texts.subspan(i, 1), encode, vector.view());
  }
  const Stopwatch all;
  for (size_t i = 0; all.seconds() < options.seconds; ++i) {
    check_interrupted();
    const Stopwatch watch;
    const auto report = encoder.encode(texts.subspan(i % texts.size(), 1), encode, vector.view());
    out.call_ms.push_back(watch.seconds() * 1e3);
    out.texts += report.texts;
    out.tokens += report.tokens;
    out.truncated += report.truncated.size();
  }
  out.total_seconds = all.seconds();
  return out;
}

void dump_vectors(const std::string& file, std::span<const std::string_view> texts,
                  Encoder& encoder, const EncodeOptions& encode) {
  const auto first = texts.first(std::min(texts.size(), kDumped));
  Mat<float> vectors(first.size(), resolve_dims(encoder.info(), encode));
  encoder.encode(first, encode, vectors.view());
  const auto writer = store::open_vector_writer(file, vectors.cols(), {});
  writer->write(vectors.view(), {}, {});
  writer->finish();
}

double peak_rss_mb() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

double round_to(double value, int digits) {
  const double scale = std::pow(10.0, digits);
  return std::round(value * scale) / scale;
}

int run(BenchOptions& options, Context& context) {
  if (options.repeat == 0)
    throw_error(ErrorKind::usage, "--repeat", "0 measures nothing; 1 or more");
  if (options.seconds <= 0)
    throw_error(ErrorKind::usage, "--seconds", "{} measures nothing; more than 0", options.seconds);
  if (!options.dump.empty()) {
    check_output("--dump", options.dump);
    check_no_input("--dump", options.dump, options.texts);
  }
  const auto strings = read_texts(options, context);
  const std::vector<std::string_view> texts(strings.begin(), strings.end());
  const Stopwatch start;
  const auto encoder = load_encoder(options.model);
  const double load_ms = start.seconds() * 1e3;
  const auto encode = encode_options(options.encode, Side::none, encoder->info(), context);
  Mat<float> one(1, resolve_dims(encoder->info(), encode));
  encoder->encode(std::span(texts).first(1), encode, one.view());
  const double first_vector_ms = start.seconds() * 1e3;

  const Figures f = options.mode == Mode::bulk ? run_bulk(texts, options, *encoder, encode, context)
                                               : run_one_by_one(texts, options, *encoder, encode);
  if (!options.dump.empty()) dump_vectors(options.dump, texts, *encoder, encode);
  const double seconds = std::max(f.total_seconds, 1e-9);
  const nlohmann::ordered_json line = {
      {"peer", "akin"},
      {"version", AKIN_VERSION},
      {"precision", precision_name(encoder->info().precision)},
      {"model", encoder->info().name},
      {"threads", options.model.threads == 0 ? usable_cpus() : options.model.threads},
      {"mode", choices(options.mode)[static_cast<size_t>(options.mode)]},
      {"tokens_per_s", round_to(static_cast<double>(f.tokens) / seconds, 1)},
      {"sentences_per_s", round_to(static_cast<double>(f.texts) / seconds, 2)},
      {"p50_ms", round_to(quantile(f.call_ms, 0.5), 3)},
      {"p99_ms", round_to(quantile(f.call_ms, 0.99), 3)},
      {"peak_rss_mb", round_to(peak_rss_mb(), 1)},
      {"load_ms", round_to(load_ms, 1)},
      {"first_vector_ms", round_to(first_vector_ms, 1)},
      {"n", f.texts},
      {"tokens", f.tokens},
      {"truncated", f.truncated}};
  if (context.json()) {
    context.print_json(line);
    return 0;
  }
  for (const auto& [key, value] : line.items())
    context.print("{:<17}{}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_bench_command() {
  return std::make_unique<CommandOf<BenchOptions>>(kInfo, run);
}

}  // namespace akin::cli
