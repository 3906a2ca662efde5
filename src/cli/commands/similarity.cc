// akin similarity: how alike texts are: two of them, a file of pairs, or all against all as a
// table.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/pair_reader.h"
#include "cli/similarity_measure.h"
#include "cli/terminal.h"

namespace akin::cli {
namespace {

struct SimilarityOptions {
  std::vector<std::string> texts;
  std::string pairs;
  std::vector<std::string> lines;
  Measure measure = Measure::automatic;
  ModelOptions model;
  EncodeFlags encode;
  InputOptions input;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+texts=TEXT", texts, "two texts, or more for a table of all against all");
    v("pairs=FILE", pairs,
      "a file of pairs: TSV or CSV with two columns, or JSONL with --field a,b; prints a score a "
      "row");
    v("lines=FILE", lines, "a table of all rows of these files against each other; - is stdin");
    v("measure=NAME", measure,
      "auto is what the model names; distances are shown negative, so that higher is more alike");
    model.fields(v);
    encode.fields(v);
    input.fields(v);
  }
};

constexpr CommandInfo kInfo = {
    "similarity", "how alike texts are: two, a file of pairs, or a table of all against all",
    "Prints one number for two texts, one number a row for --pairs (before the row's two texts), "
    "and a table otherwise, "
    "coloured on a terminal. A number says little by itself: compare it with those of other pairs "
    "under the same model.",
    "akin similarity --model static-en-64 \"a cat sat\" \"a kitten rested\"\n"
    "akin similarity --model static-zh-200 今天天气很好 今天是晴天 股票下跌\n"
    "akin similarity --model ./m3e-base --pairs pairs.tsv --json"};

constexpr size_t kTableLimit = 2000;

Mat<float> embed(Encoder& encoder, const EncodeOptions& options,
                 std::span<const std::string> texts) {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  Mat<float> out(texts.size(), resolve_dims(encoder.info(), options));
  encoder.encode(views, options, out.view());
  return out;
}

float score(const Mat<float>& vectors, size_t a, size_t b, Measure kind) {
  return measure(kind, vectors.row(a), vectors.row(b), vectors.cols());
}

// The widest that rows' labels may be, and a score as "0.813".
void print_table(std::span<const std::string> texts, const Mat<float>& vectors, Measure kind,
                 Context& context) {
  const bool terminal = context.stdout_terminal() || context.color();
  float low = INFINITY, high = -INFINITY;
  for (size_t i = 0; i < texts.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      low = std::min(low, score(vectors, i, j, kind));
      high = std::max(high, score(vectors, i, j, kind));
    }
  }
  if (!terminal) {
    for (size_t i = 0; i < texts.size(); ++i) {
      for (size_t j = 0; j < texts.size(); ++j) {
        context.print("{}{:.6f}", j == 0 ? "" : "\t", score(vectors, i, j, kind));
      }
      context.print("\t{}\n", printable(texts[i]));
    }
    return;
  }
  const size_t cells = texts.size() * 7;
  const size_t columns = terminal_columns();
  const size_t label = std::clamp<size_t>(columns > cells + 6 ? columns - cells - 6 : 0, 12, 60);
  context.write(std::string(label + 6, ' '));
  for (size_t j = 0; j < texts.size(); ++j) context.print("{:^7}", j + 1);
  context.write("\n");
  for (size_t i = 0; i < texts.size(); ++i) {
    context.print("{:>4}  {}", i + 1, fit(texts[i], label));
    for (size_t j = 0; j < texts.size(); ++j) {
      const float value = score(vectors, i, j, kind);
      const std::string cell = fmt::format("{:^7.3f}", value);
      const double heat = i == j ? 1.0 : high > low ? (value - low) / (high - low) : 0.5;
      context.write(context.color() ? heat_cell(cell, heat) : cell);
    }
    context.write("\n");
  }
}

void run_table(const std::vector<std::string>& texts, Encoder& encoder, const EncodeOptions& encode,
               Measure kind, Context& context) {
  if (texts.size() > kTableLimit) {
    throw_error(ErrorKind::usage, "--lines",
                "more than {} rows make too large a table; give fewer, or use akin search",
                kTableLimit);
  }
  const Mat<float> vectors = embed(encoder, encode, texts);
  if (!context.json()) {
    if (texts.size() == 2) return context.print("{:.6f}\n", score(vectors, 0, 1, kind));
    return print_table(texts, vectors, kind, context);
  }
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (size_t i = 0; i < texts.size(); ++i) {
    auto& row = rows.emplace_back(nlohmann::ordered_json::array());
    for (size_t j = 0; j < texts.size(); ++j)
      row.push_back(static_cast<double>(score(vectors, i, j, kind)));
  }
  context.print_json(
      {{"measure", choices(kind)[static_cast<size_t>(kind)]}, {"texts", texts}, {"scores", rows}});
}

struct Pairs {
  std::vector<std::string> texts;  // a, b, a, b, ...
  std::vector<std::string> ids;
};

bool read_pairs(PairReader& reader, Pairs& pairs) {
  pairs = {};
  TextPair pair;
  while (pairs.texts.size() < 8192 && reader.next(pair)) {
    check_interrupted();
    pairs.texts.push_back(std::move(pair.a));
    pairs.texts.push_back(std::move(pair.b));
    pairs.ids.push_back(std::move(pair.id));
  }
  return !pairs.texts.empty();
}

void run_pairs(const SimilarityOptions& options, Encoder& encoder, const EncodeOptions& encode,
               Measure kind, Context& context) {
  PairReader reader(options.pairs, options.input);
  const Stopwatch watch;
  Pairs pairs;
  uint64_t count = 0;
  while (read_pairs(reader, pairs)) {
    const Mat<float> vectors = embed(encoder, encode, pairs.texts);
    for (size_t i = 0; i < pairs.ids.size(); ++i) {
      const float value = score(vectors, 2 * i, 2 * i + 1, kind);
      const auto &a = pairs.texts[2 * i], &b = pairs.texts[2 * i + 1];
      if (context.json()) {
        nlohmann::ordered_json line;
        if (!pairs.ids[i].empty()) line["id"] = pairs.ids[i];
        line["score"] = static_cast<double>(value);
        line["a"] = a;
        line["b"] = b;
        context.print_json(line);
      } else if (context.color()) {
        const size_t half = (terminal_columns() - 12) / 2;
        context.print("{} {} {}\n", heat_cell(fmt::format("{:^8.4f}", value), value), fit(a, half),
                      clip(b, half));
      } else {
        context.print("{:.6f}\t{}\t{}\n", value, printable(a), printable(b));
      }
    }
    count += pairs.ids.size();
  }
  context.say("compared " + speed_words(2 * count, 0, watch.seconds()));
}

int run(SimilarityOptions& options, Context& context) {
  const int forms = (options.texts.empty() ? 0 : 1) + (options.pairs.empty() ? 0 : 1) +
                    (options.lines.empty() ? 0 : 1);
  if (forms != 1 || options.texts.size() == 1) {
    throw_error(ErrorKind::usage, "akin similarity",
                "give two or more texts, or --pairs FILE, or --lines FILE");
  }
  const auto encoder = load_encoder(options.model);
  const auto encode = encode_options(options.encode, Side::none, encoder->info(), context);
  const Measure kind = resolve_measure(options.measure, encoder->info().similarity);
  if (!options.pairs.empty()) {
    run_pairs(options, *encoder, encode, kind, context);
    return 0;
  }
  if (!options.lines.empty()) {
    InputReader reader(options.lines, options.input, context);
    for (InputText row; options.texts.size() <= kTableLimit && reader.next(row);)
      options.texts.push_back(std::move(row.text));
  }
  run_table(options.texts, *encoder, encode, kind, context);
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_similarity_command() {
  return std::make_unique<CommandOf<SimilarityOptions>>(kInfo, run);
}

}  // namespace akin::cli
