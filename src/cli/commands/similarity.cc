// akin similarity: how alike texts are: two of them, a file of pairs, or all against all as a
// table.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "cli/calibration_file.h"
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
  std::string calibrated;
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
    v("calibrated=FILE", calibrated,
      "a file of akin eval --calibrate --out: shows probabilities in place of scores, and what "
      "lies "
      "above its threshold; prompt, adapter and measure are those of the file");
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
    "under the same model, or give --calibrated for probabilities.",
    "akin similarity --model static-en-64 \"a cat sat\" \"a kitten rested\"\n"
    "akin similarity --model static-zh-200 今天天气很好 今天是晴天 股票下跌\n"
    "akin similarity --model ./m3e-base --pairs pairs.tsv --json\n"
    "akin similarity --model static-en-64 --calibrated calibration.json --pairs pairs.tsv"};

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

// What is shown of a score: itself, or by a calibration its probability.
struct Shown {
  Measure kind = Measure::cosine;
  std::optional<CalibrationFile> file;

  float value(float score) const {
    return file ? static_cast<float>(file->calibrator.probability(score)) : score;
  }
  bool above(float score) const { return score >= file->threshold; }
  std::string_view word(float score) const { return above(score) ? "above" : "below"; }
};

// The widest that rows' labels may be, and a score as "0.813".
void print_table(std::span<const std::string> texts, const Mat<float>& vectors, const Shown& how,
                 Context& context) {
  const auto value_of = [&](size_t i, size_t j) {
    return how.value(score(vectors, i, j, how.kind));
  };
  const bool terminal = context.stdout_terminal() || context.color();
  float low = INFINITY, high = -INFINITY;
  for (size_t i = 0; i < texts.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      low = std::min(low, value_of(i, j));
      high = std::max(high, value_of(i, j));
    }
  }
  if (!terminal) {
    for (size_t i = 0; i < texts.size(); ++i) {
      for (size_t j = 0; j < texts.size(); ++j) {
        context.print("{}{:.6f}", j == 0 ? "" : "\t", value_of(i, j));
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
      const float value = value_of(i, j);
      const std::string cell = fmt::format("{:^7.3f}", value);
      const double heat = i == j ? 1.0 : high > low ? (value - low) / (high - low) : 0.5;
      context.write(context.color() ? heat_cell(cell, heat) : cell);
    }
    context.write("\n");
  }
}

void run_table(const std::vector<std::string>& texts, Encoder& encoder, const EncodeOptions& encode,
               const Shown& how, Context& context) {
  if (texts.size() > kTableLimit) {
    throw_error(ErrorKind::usage, "--lines",
                "more than {} rows make too large a table; give fewer, or use akin search",
                kTableLimit);
  }
  const Mat<float> vectors = embed(encoder, encode, texts);
  if (!context.json()) {
    if (texts.size() != 2) return print_table(texts, vectors, how, context);
    const float alike = score(vectors, 0, 1, how.kind);
    if (!how.file) return context.print("{:.6f}\n", alike);
    return context.print("{:.6f}\t{}\n", how.value(alike), how.word(alike));
  }
  auto rows = nlohmann::ordered_json::array(), probabilities = rows, above = rows;
  for (size_t i = 0; i < texts.size(); ++i) {
    for (auto* table : {&rows, &probabilities, &above}) {
      table->push_back(nlohmann::ordered_json::array());
    }
    for (size_t j = 0; j < texts.size(); ++j) {
      const float alike = score(vectors, i, j, how.kind);
      rows.back().push_back(static_cast<double>(alike));
      if (!how.file) continue;
      probabilities.back().push_back(how.file->calibrator.probability(alike));
      above.back().push_back(how.above(alike));
    }
  }
  nlohmann::ordered_json out = {{"measure", choices(how.kind)[static_cast<size_t>(how.kind)]},
                                {"texts", texts},
                                {"scores", rows}};
  if (how.file) {
    out["threshold"] = how.file->threshold;
    out["probabilities"] = probabilities;
    out["above"] = above;
  }
  context.print_json(out);
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
               const Shown& how, Context& context) {
  PairReader reader(options.pairs, options.input);
  const Stopwatch watch;
  Pairs pairs;
  uint64_t count = 0;
  while (read_pairs(reader, pairs)) {
    const Mat<float> vectors = embed(encoder, encode, pairs.texts);
    for (size_t i = 0; i < pairs.ids.size(); ++i) {
      const float alike = score(vectors, 2 * i, 2 * i + 1, how.kind);
      const float value = how.value(alike);
      const auto &a = pairs.texts[2 * i], &b = pairs.texts[2 * i + 1];
      if (context.json()) {
        nlohmann::ordered_json line;
        if (!pairs.ids[i].empty()) line["id"] = pairs.ids[i];
        line["score"] = static_cast<double>(alike);
        if (how.file) {
          line["probability"] = how.file->calibrator.probability(alike);
          line["above"] = how.above(alike);
        }
        line["a"] = a;
        line["b"] = b;
        context.print_json(line);
      } else if (context.color()) {
        const size_t half = (terminal_columns() - (how.file ? 18 : 12)) / 2;
        context.print("{} {}{} {}\n", heat_cell(fmt::format("{:^8.4f}", value), value),
                      how.file ? fmt::format("{} ", how.word(alike)) : "", fit(a, half),
                      clip(b, half));
      } else {
        context.print("{:.6f}\t{}{}\t{}\n", value,
                      how.file ? fmt::format("{}\t", how.word(alike)) : "", printable(a),
                      printable(b));
      }
    }
    count += pairs.ids.size();
  }
  context.say("compared " + speed_words(2 * count, 0, watch.seconds()));
}

// The file of --calibrated; the texts are then embedded and compared as it was fitted.
CalibrationFile open_calibration(SimilarityOptions& options, const Encoder& encoder) {
  const std::pair<const char*, bool> settled[] = {
      {"--prompt", options.encode.prompt.has_value()},
      {"--prompt-name", !options.encode.prompt_name.empty()},
      {"--task", !options.encode.task.empty()},
      {"--measure", options.measure != Measure::automatic},
      {"--no-normalize", !options.encode.normalize}};
  for (const auto& [flag, given] : settled) {
    if (given) throw_error(ErrorKind::usage, flag, "is settled by --calibrated; leave it out");
  }
  CalibrationFile file = read_calibration(options.calibrated);
  const EncoderInfo& info = encoder.info();
  const size_t dims = options.encode.dims == 0 ? info.dim : options.encode.dims;
  check_calibration(file, info, dims, precision_name(info.precision), options.calibrated);
  options.encode.prompt = file.prompt;
  options.encode.task = file.adapter;
  options.encode.allow_any_dims = true;  // as they were fitted
  options.measure = file.measure == "dot" ? Measure::dot : Measure::cosine;
  return file;
}

int run(SimilarityOptions& options, Context& context) {
  const int forms = (options.texts.empty() ? 0 : 1) + (options.pairs.empty() ? 0 : 1) +
                    (options.lines.empty() ? 0 : 1);
  if (forms != 1 || options.texts.size() == 1) {
    throw_error(ErrorKind::usage, "akin similarity",
                "give two or more texts, or --pairs FILE, or --lines FILE");
  }
  const auto encoder = load_encoder(options.model);
  Shown how;
  if (!options.calibrated.empty()) how.file = open_calibration(options, *encoder);
  const auto encode = encode_options(options.encode, Side::none, encoder->info(), context);
  how.kind = resolve_measure(options.measure, encoder->info().similarity);
  if (how.file) {
    context.say(
        fmt::format("probabilities by {}; \"above\" is a {} of {:.4g} or more, which is a "
                    "probability of {:.3f}",
                    options.calibrated, how.file->measure, how.file->threshold,
                    how.file->threshold_probability));
  }
  if (!options.pairs.empty()) {
    run_pairs(options, *encoder, encode, how, context);
    return 0;
  }
  if (!options.lines.empty()) {
    InputReader reader(options.lines, options.input, context);
    for (InputText row; options.texts.size() <= kTableLimit && reader.next(row);)
      options.texts.push_back(std::move(row.text));
  }
  run_table(options.texts, *encoder, encode, how, context);
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_similarity_command() {
  return std::make_unique<CommandOf<SimilarityOptions>>(kInfo, run);
}

}  // namespace akin::cli
