// Bitext mining: is a sentence's nearest neighbour in the other language its translation?
//
// Computes  nearest sentence2 of each sentence1 by the model's similarity; weighted precision,
//           recall, F1, and accuracy of the neighbour's row against its own row.
// Data      rows of sentence1, sentence2; or two line-aligned files (files.sentence1, .sentence2).
// Options   none.
// Returns   precision, recall, f1, accuracy; main f1.
// Errors    bad_format when the two sides differ in length.
// Source    mteb 2.20 AbsTaskBitextMining.
#include <numeric>
#include <optional>

#include "base/error.h"
#include "eval/cached_encoder.h"
#include "eval/classification_metrics.h"
#include "eval/pair_scores.h"
#include "eval/task.h"
#include "eval/task_data.h"
#include "index/flat.h"
#include "store/text_source.h"

namespace akin::eval {
namespace {

struct Sides {
  std::vector<std::string> a, b;
};

std::vector<std::string> read_lines(const TaskData::Files& files) {
  std::vector<std::string> out;
  for (const auto& path : files.paths) {
    store::TextSourceOptions options;
    options.format = store::TextFormat::lines;
    const auto source = store::open_text_source(path, options);
    store::TextRow row;
    while (source->next(row)) out.push_back(std::move(row.values.at(0)));
  }
  return out;
}

Sides read_sides(const Slice& slice, const TaskContext& context) {
  Sides out;
  const TaskData& data = context.data;
  if (context.spec.files.count("sentence1") != 0) {
    const auto first = data.files("sentence1", slice), second = data.files("sentence2", slice);
    out.a = read_lines(first);
    out.b = read_lines(second);
    if (out.a.size() != out.b.size() || out.a.empty()) {
      throw_error(ErrorKind::bad_format, second.paths.front().string(),
                  "{} lines, {} has {}: line i of one must translate line i of the other; repair "
                  "the shorter file",
                  out.b.size(), first.paths.front().string(), out.a.size());
    }
    return out;
  }
  const std::string columns[] = {column(context.spec, "sentence1", "sentence1"),
                                 column(context.spec, "sentence2", "sentence2")};
  data.each_row("rows", slice, columns, [&](auto values, const auto& reader) {
    out.a.push_back(text_of(values[0], reader, columns[0]));
    out.b.push_back(text_of(values[1], reader, columns[1]));
  });
  return out;
}

// The share of each sentence in the main score: every class has one row, so the weighted F1 is the
// mean of the classes' own, 2 / (1 + how many chose it) where its own sentence did.
std::optional<store::ItemScores> items_of(const std::string& main_score,
                                          const std::vector<int32_t>& predicted) {
  if (main_score != "f1" && main_score != "accuracy" && main_score != "recall") return {};
  std::vector<double> chosen(predicted.size(), 0);
  for (const int32_t p : predicted) ++chosen[static_cast<size_t>(p)];
  store::ItemScores out;
  for (size_t i = 0; i < predicted.size(); ++i) {
    const bool hit = static_cast<size_t>(predicted[i]) == i;
    const double whole = main_score == "f1" ? 2 / (1 + chosen[i]) : 1;
    out.values.push_back(hit ? whole : 0);
  }
  return out;
}

class BitextMiningTask final : public Task {
 public:
  std::string_view default_main_score() const override { return "f1"; }
  std::vector<Scores> evaluate(const Slice& slice, TaskContext& context) override {
    const Sides sides = read_sides(slice, context);
    const Mat<float> a = encode_texts(context, sides.a);
    const Mat<float> b = encode_texts(context, sides.b);
    std::vector<int32_t> gold(sides.a.size());
    std::iota(gold.begin(), gold.end(), 0);
    std::vector<Scores> out;
    for (const size_t dim : context.dims) {
      const Mat<float> x = similarity_rows(a.view(), dim, context.encoder);
      const Mat<float> y = similarity_rows(b.view(), dim, context.encoder);
      index::FlatSearch search(x.view(), 1, context.pool);
      search.add(y.view(), 0);
      std::vector<int32_t> predicted(gold.size());
      Scores& scores = out.emplace_back();
      for (size_t i = 0; i < gold.size(); ++i) {
        predicted[i] = static_cast<int32_t>(search.result(i).at(0).doc);
      }
      const auto s = score_classification(gold, predicted, /*binary_ap=*/false);
      scores.metrics["precision"] = s.precision_weighted;
      scores.metrics["recall"] = s.recall_weighted;
      scores.metrics["f1"] = s.f1_weighted;
      scores.metrics["accuracy"] = s.accuracy;
      scores.items = items_of(context.spec.main_score, predicted);
    }
    return out;
  }
};

}  // namespace

std::unique_ptr<Task> make_bitext_mining_task() { return std::make_unique<BitextMiningTask>(); }

}  // namespace akin::eval
