// How fast is Unigram tokenization against sentencepiece? Text bytes to ids on one thread, one line
// of the file a text, in CPU time (a busy machine matters less), rounds interleaved so that both
// see the same machine. Prints one JSON line per text file. Not a test, and not the other models
// (tokenizer_bench.cc).
//
//   unigram_bench MODEL TEXT...     MODEL is a sentencepiece .model file
//
// Where sentencepiece's library is installed (Debian: libsentencepiece-dev) the peer runs too, and
// the lines whose ids differ are counted (there are a few: sentencepiece adds float32 scores over
// the whole line, the reference of akin adds float64 scores over each word).
#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#ifdef AKIN_BENCH_SENTENCEPIECE
#include <sentencepiece_processor.h>
#endif

#include "base/error.h"
#include "base/file.h"
#include "measure.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"

namespace {

using Ids = std::vector<int32_t>;
using Encode = std::function<void(std::string_view line, Ids& ids)>;

constexpr size_t kRounds = 9;

struct Contender {
  std::string name;
  Encode encode;
  std::vector<double> seconds = {};
  double median() {
    std::sort(seconds.begin(), seconds.end());
    return seconds[seconds.size() / 2];
  }
};

void measure(std::vector<Contender>& contenders, const std::vector<std::string_view>& lines) {
  Ids ids;
  for (size_t round = 0; round <= kRounds; ++round) {
    for (Contender& contender : contenders) {
      const double begin = akin::bench::thread_seconds();
      for (const std::string_view line : lines) {
        ids.clear();
        contender.encode(line, ids);
      }
      if (round > 0)
        contender.seconds.push_back(akin::bench::thread_seconds() - begin);  // the first warms up
    }
  }
}

size_t count_differences(const Contender& a, const Contender& b,
                         const std::vector<std::string_view>& lines) {
  size_t count = 0;
  Ids left, right;
  for (const std::string_view line : lines) {
    left.clear();
    right.clear();
    a.encode(line, left);
    b.encode(line, right);
    count += left != right ? 1 : 0;
  }
  return count;
}

void report(const char* file, std::vector<Contender>& contenders,
            const std::vector<std::string_view>& lines) {
  size_t bytes = 0;
  for (const auto line : lines) bytes += line.size() + 1;
  const auto rate = [&](double seconds) { return static_cast<double>(bytes) / 1e6 / seconds; };
  for (Contender& contender : contenders) {
    const double median = contender.median();
    fmt::print(
        "{{\"bench\": \"unigram\", \"text\": \"{}\", \"engine\": \"{}\", \"value\": {:.2f}, "
        "\"unit\": \"MB/s\", \"slowest\": {:.2f}, \"fastest\": {:.2f}, \"n\": {}, \"lines\": {}, "
        "\"bytes\": {}, \"times_last_engine\": {:.2f}, \"lines_unlike_last_engine\": {}, "
        "\"threads\": 1, \"time\": \"cpu\"}}\n",
        file, contender.name, rate(median), rate(contender.seconds.back()),
        rate(contender.seconds.front()), kRounds, lines.size(), bytes,
        contenders.back().median() / median,
        count_differences(contender, contenders.back(), lines));
  }
}

int run(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: {} MODEL TEXT...\n", argv[0]);
    return 2;
  }
  const auto model = akin::text::load_sentencepiece(argv[1]);
  const std::string json = akin::text::sentencepiece_to_tokenizer_json(model, {}, argv[1]);
  const auto tokenizer = akin::text::Tokenizer::from_json(json, argv[1]);
  std::vector<Contender> contenders;
  contenders.push_back(
      {"akin", [&](std::string_view line, Ids& ids) { tokenizer->encode(line, false, ids); }});
#ifdef AKIN_BENCH_SENTENCEPIECE
  sentencepiece::SentencePieceProcessor peer;
  if (!peer.Load(argv[1]).ok()) throw akin::Error(akin::ErrorKind::bad_format, "peer", argv[1]);
  contenders.push_back({"sentencepiece", [&](std::string_view line, Ids& ids) {
                          peer.Encode({line.data(), line.size()}, &ids).IgnoreError();
                        }});
#endif
  for (int i = 2; i < argc; ++i) {
    const std::string text = akin::read_file(argv[i]);
    const auto lines = akin::bench::lines_of(text);
    for (Contender& contender : contenders) contender.seconds.clear();
    measure(contenders, lines);
    report(argv[i], contenders, lines);
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
