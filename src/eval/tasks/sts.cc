// STS: does the similarity of two sentences rank pairs as people do?
//
// Computes  Spearman and Pearson of the gold score with the model's similarity, cosine, and negated
//           Manhattan and Euclidean distances.
// Data      rows of sentence1, sentence2, score.
// Options   none.
// Returns   pearson, spearman, cosine_*, manhattan_*, euclidean_*; main cosine_spearman.
// Errors    bad_format for an empty split, or gold scores that are all equal.
// Source    mteb 2.20 AbsTaskSTS.
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

struct Pairs {
  std::vector<std::string> a, b;
  std::vector<double> gold;
};

Pairs read_pairs(const Slice& slice, const TaskContext& context) {
  Pairs out;
  const std::string columns[] = {column(context.spec, "sentence1", "sentence1"),
                                 column(context.spec, "sentence2", "sentence2"),
                                 column(context.spec, "score", "score")};
  std::string where;
  context.data.each_row("rows", slice, columns, [&](auto values, const auto& reader) {
    out.a.push_back(text_of(values[0], reader, columns[0]));
    out.b.push_back(text_of(values[1], reader, columns[1]));
    out.gold.push_back(store::as_real(values[2], reader, columns[2]));
    where = reader.where();
  });
  const auto [low, high] = std::minmax_element(out.gold.begin(), out.gold.end());
  if (*low == *high) {
    throw_error(ErrorKind::bad_format, where,
                "all {} rows up to here have the {} {}: a correlation needs scores that differ; "
                "name the right column with columns.score",
                out.gold.size(), store::column_words(columns[2]), *low);
  }
  return out;
}

void add(Scores& out, const std::string& name, const std::vector<double>& predicted,
         const std::vector<double>& gold, bool distance) {
  std::vector<double> values = predicted;
  if (distance) {
    for (auto& value : values) value = -value;
  }
  const std::string prefix = name.empty() ? "" : name + "_";
  out.metrics[prefix + "pearson"] = pearson(values, gold).statistic;
  out.metrics[prefix + "spearman"] = spearman(values, gold).statistic;
}

class StsTask final : public Task {
 public:
  std::string_view default_main_score() const override { return "cosine_spearman"; }
  std::vector<Scores> evaluate(const Slice& slice, TaskContext& context) override {
    const Pairs pairs = read_pairs(slice, context);
    const Mat<float> a = encode_texts(context, pairs.a);
    const Mat<float> b = encode_texts(context, pairs.b);
    return for_each_dim(context, a.view(), b.view(), [&](auto x, auto y) {
      const PairScores scores = score_pairs(x, y, uses_dot(context.encoder), context.pool);
      Scores out;
      add(out, "", scores.similarity, pairs.gold, false);
      add(out, "cosine", scores.cosine, pairs.gold, false);
      add(out, "manhattan", scores.manhattan, pairs.gold, true);
      add(out, "euclidean", scores.euclidean, pairs.gold, true);
      const bool by_rank = context.spec.main_score == "cosine_spearman";
      if (by_rank || context.spec.main_score == "cosine_pearson") {
        out.items.emplace();
        out.items->statistic =
            by_rank ? store::ItemStatistic::spearman : store::ItemStatistic::pearson;
        out.items->values = scores.cosine;
        out.items->gold = pairs.gold;
      }
      return out;
    });
  }
};

}  // namespace

std::unique_ptr<Task> make_sts_task() { return std::make_unique<StsTask>(); }

}  // namespace akin::eval
