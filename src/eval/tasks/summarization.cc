// Summarization: does similarity to human summaries rank machine summaries as people do?
//
// Computes  for each machine summary the greatest similarity to a human one; per document Spearman
//           and Pearson with the relevance; the mean over documents. Documents whose relevance or
//           scores are all equal are left out.
// Data      rows of human_summaries, machine_summaries, relevance: lists.
// Options   legacy: each correlation is averaged with its p-value, as SummEval was published.
// Returns   pearson, spearman, cosine_*, dot_*; main cosine_spearman.
// Errors    bad_format when the lists of a row do not fit, or no document can be scored.
// Source    mteb 2.20 AbsTaskSummarization; legacy as the evaluator of mteb 1.x.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/cached_encoder.h"
#include "eval/correlation.h"
#include "eval/pair_scores.h"
#include "eval/task.h"
#include "eval/task_data.h"

namespace akin::eval {
namespace {

struct Document {
  size_t humans = 0, human_begin = 0;
  size_t machines = 0, machine_begin = 0;
  std::vector<double> relevance;
};
struct Summaries {
  std::vector<std::string> human, machine;
  std::vector<Document> documents;
};

Summaries read_summaries(const Slice& slice, const TaskContext& context) {
  Summaries out;
  const TaskSpec& spec = context.spec;
  const std::string columns[] = {column(spec, "human_summaries", "human_summaries"),
                                 column(spec, "machine_summaries", "machine_summaries"),
                                 column(spec, "relevance", "relevance")};
  context.data.each_row("rows", slice, columns, [&](auto values, const auto& reader) {
    Document document{0, out.human.size(), 0, out.machine.size(), {}};
    for (auto& text : texts_of(values[0], reader, columns[0])) out.human.push_back(text);
    for (auto& text : texts_of(values[1], reader, columns[1])) out.machine.push_back(text);
    for (const auto& value : store::as_list(values[2], reader, columns[2])) {
      document.relevance.push_back(store::as_real(value, reader, columns[2]));
    }
    document.humans = out.human.size() - document.human_begin;
    document.machines = out.machine.size() - document.machine_begin;
    if (document.humans == 0 || document.machines != document.relevance.size()) {
      throw_error(ErrorKind::bad_format, reader.where(),
                  "{} human summaries, {} machine summaries, {} values of relevance: expected at "
                  "least one human summary, and one value for each machine summary; repair the row",
                  document.humans, document.machines, document.relevance.size());
    }
    out.documents.push_back(std::move(document));
  });
  return out;
}

bool all_equal(const std::vector<double>& values) {
  return values.size() < 2 || std::all_of(values.begin(), values.end(),
                                          [&](double value) { return value == values[0]; });
}

struct Means {
  std::vector<double> pearson, spearman;
  void add(const std::vector<double>& predicted, const std::vector<double>& gold, bool legacy) {
    const Correlation p = eval::pearson(predicted, gold), s = eval::spearman(predicted, gold);
    pearson.push_back(legacy ? (p.statistic + p.p_value) / 2 : p.statistic);
    spearman.push_back(legacy ? (s.statistic + s.p_value) / 2 : s.statistic);
  }
  void write(Scores& out, const std::string& prefix) const {
    out.metrics[prefix + "pearson"] = mean_of(pearson);
    out.metrics[prefix + "spearman"] = mean_of(spearman);
  }
};

// The greatest value over the humans' rows for each of the machines' rows.
std::vector<double> best_of(const Document& document, MatView<const float> human,
                            MatView<const float> machine) {
  std::vector<double> out;
  for (size_t m = 0; m < document.machines; ++m) {
    float best = -INFINITY;
    for (size_t h = 0; h < document.humans; ++h) {
      best = std::max(best, dot(machine.row(document.machine_begin + m),
                                human.row(document.human_begin + h), human.cols()));
    }
    out.push_back(best);
  }
  return out;
}

Scores score(const Summaries& summaries, MatView<const float> human, MatView<const float> machine,
             const TaskContext& context) {
  Mat<float> unit_human = cut(human, human.cols(), false);
  Mat<float> unit_machine = cut(machine, machine.cols(), false);
  normalize_rows(unit_human.view());
  normalize_rows(unit_machine.view());
  Means cosine, dots;
  const bool legacy = context.spec.legacy;
  for (const auto& document : summaries.documents) {
    const auto by_cosine = best_of(document, unit_human.view(), unit_machine.view());
    const auto by_dot = best_of(document, human, machine);
    if (all_equal(document.relevance) || all_equal(by_cosine) || all_equal(by_dot)) continue;
    cosine.add(by_cosine, document.relevance, legacy);
    dots.add(by_dot, document.relevance, legacy);
  }
  if (cosine.spearman.empty()) {
    throw_error(ErrorKind::bad_format, context.data.folder().string(),
                "none of {} documents can be scored: in each the relevance or the similarities are "
                "all equal; check columns.relevance",
                summaries.documents.size());
  }
  Scores out;
  (uses_dot(context.encoder) ? dots : cosine).write(out, "");
  cosine.write(out, "cosine_");
  dots.write(out, "dot_");
  if (context.spec.main_score == "cosine_spearman") {
    out.items.emplace();
    out.items->values = cosine.spearman;
  }
  return out;
}

class SummarizationTask final : public Task {
 public:
  std::string_view default_main_score() const override { return "cosine_spearman"; }
  std::vector<Scores> evaluate(const Slice& slice, TaskContext& context) override {
    const Summaries summaries = read_summaries(slice, context);
    const Mat<float> human = encode_texts(context, summaries.human);
    const Mat<float> machine = encode_texts(context, summaries.machine);
    return for_each_dim(context, human.view(), machine.view(),
                        [&](auto x, auto y) { return score(summaries, x, y, context); });
  }
};

}  // namespace

std::unique_ptr<Task> make_summarization_task() { return std::make_unique<SummarizationTask>(); }

}  // namespace akin::eval
