// How fast are the tokenizers? Text bytes to ids through Tokenizer::encode, one thread, one line of
// the file a text, in CPU time (a busy machine matters less). Prints one JSON line per tokenizer
// folder. Not a test; with --ids it prints the ids instead, for tools/compare_tokenizers.mjs.
//
//   tokenizer_bench TEXT FOLDER...            MB/s and lines/s: median of 9 rounds and their spread
//   tokenizer_bench --ids TEXT FOLDER         ids of each line, special tokens included
//   tokenizer_bench --offsets TEXT FOLDER     id:begin:end for each token, bytes of the line
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "measure.h"
#include "text/tokenizer.h"

namespace {

using akin::text::Tokenizer;

void print_ids(const Tokenizer& tokenizer, const std::vector<std::string_view>& lines,
               bool offsets) {
  std::vector<int32_t> ids;
  for (const std::string_view line : lines) {
    if (offsets) {
      const auto encoding = tokenizer.encode_with_offsets(line, true);
      for (size_t i = 0; i < encoding.ids.size(); ++i) {
        fmt::print("{}{}:{}:{}", i == 0 ? "" : " ", encoding.ids[i], encoding.begin[i],
                   encoding.end[i]);
      }
      fmt::print("\n");
    } else {
      ids.clear();
      tokenizer.encode(line, true, ids);
      fmt::print("{}\n", fmt::join(ids, " "));
    }
  }
}

void bench(const char* folder, const std::vector<std::string_view>& lines) {
  constexpr int kRounds = 9;
  const double load_begin = akin::bench::thread_seconds();
  const auto tokenizer = Tokenizer::load_folder(folder);
  const double load_ms = (akin::bench::thread_seconds() - load_begin) * 1e3;
  size_t bytes = 0, tokens = 0;
  for (const auto line : lines) bytes += line.size();
  std::vector<int32_t> ids;
  std::vector<double> seconds;
  const size_t repeats = std::max<size_t>(1, (8U << 20) / std::max<size_t>(1, bytes));
  for (int round = -1; round < kRounds; ++round) {
    const double begin = akin::bench::thread_seconds();
    for (size_t r = 0; r < repeats; ++r) {
      tokens = 0;
      for (const auto line : lines) {
        ids.clear();
        tokens += tokenizer->encode(line, true, ids);
      }
    }
    const double spent = akin::bench::thread_seconds() - begin;
    if (round >= 0) seconds.push_back(spent / static_cast<double>(repeats));  // the first warms up
  }
  std::sort(seconds.begin(), seconds.end());
  const auto rate = [&](double s) { return static_cast<double>(bytes) / 1e6 / s; };
  const double median = seconds[kRounds / 2];
  fmt::print(
      "{{\"bench\": \"tokenizer\", \"folder\": \"{}\", \"model\": \"{}\", \"value\": {:.1f}, "
      "\"unit\": \"MB/s\", \"lines_per_s\": {:.0f}, \"tokens_per_s\": {:.0f}, \"n\": {}, "
      "\"lines\": {}, \"bytes\": {}, \"slowest\": {:.1f}, \"fastest\": {:.1f}, "
      "\"load_ms\": {:.1f}, \"threads\": 1, \"time\": \"cpu\"}}\n",
      folder, tokenizer->model_type(), rate(median), static_cast<double>(lines.size()) / median,
      static_cast<double>(tokens) / median, kRounds, lines.size(), bytes, rate(seconds.back()),
      rate(seconds.front()), load_ms);
}

int run(int argc, char** argv) {
  const bool ids = argc > 1 && std::strcmp(argv[1], "--ids") == 0;
  const bool offsets = argc > 1 && std::strcmp(argv[1], "--offsets") == 0;
  const int first = ids || offsets ? 2 : 1;
  if (argc < first + 2) {
    fmt::print(stderr, "usage: {} [--ids|--offsets] TEXT FOLDER...\n", argv[0]);
    return 2;
  }
  const std::string text = akin::read_file(argv[first]);
  const auto lines = akin::bench::lines_of(text);
  for (int i = first + 1; i < argc; ++i) {
    if (ids || offsets) {
      print_ids(*Tokenizer::load_folder(argv[i]), lines, offsets);
    } else {
      bench(argv[i], lines);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const akin::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return akin::error_kind_info(error.kind()).exit_code;
  }
}
