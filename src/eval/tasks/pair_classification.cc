// Pair classification: does a threshold on the similarity of two texts tell matches from others?
//
// Computes  average precision (ties collapsed), and the best accuracy and F1 over thresholds (ties
//           not collapsed), for five measures.
// Data      rows of sentence1, sentence2, labels (0 or 1); or rows that hold lists of them. Columns
//           sent1 and sent2 are taken too. Labels as words need label_map.
// Options   label_map.
// Returns   {similarity,cosine,manhattan,euclidean,dot}_{accuracy,f1,precision,recall,ap}, max_*;
//           main max_ap.
// Errors    bad_format for a label that is not 0 or 1, or a split with one class only.
// Source    mteb 2.20 AbsTaskPairClassification.
#include <algorithm>

#include "base/error.h"
#include "eval/average_precision.h"
#include "eval/cached_encoder.h"
#include "eval/pair_scores.h"
#include "eval/task.h"
#include "eval/task_data.h"

namespace akin::eval {
namespace {

struct Pairs {
  std::vector<std::string> a, b;
  std::vector<uint8_t> labels;
};

void add_pair(Pairs& out, const TaskSpec& spec, std::string a, std::string b,
              const std::string& label, const store::RowReader& reader, const std::string& name) {
  const auto mapped = mapped_label(spec, label);
  if (!mapped) return;
  const bool match = *mapped == "1" || *mapped == "1.0";  // as tables write a column of reals
  if (!match && *mapped != "0" && *mapped != "0.0") {
    throw_error(ErrorKind::bad_format, reader.where(),
                "{} is {}, expected 0 or 1; give label_map = {{ yes = 1, no = 0 }} in a task file "
                "to read other labels",
                store::column_words(name), quote(label));
  }
  out.a.push_back(std::move(a));
  out.b.push_back(std::move(b));
  out.labels.push_back(match ? 1 : 0);
}

Pairs read_pairs(const Slice& slice, const TaskContext& context) {
  Pairs out;
  const TaskSpec& spec = context.spec;
  const std::string columns[] = {column(spec, "sentence1", "sentence1|sent1"),
                                 column(spec, "sentence2", "sentence2|sent2"),
                                 column(spec, "labels", "labels|label")};
  std::string where;
  context.data.each_row("rows", slice, columns, [&](auto values, const auto& reader) {
    where = reader.where();
    std::vector<std::string> cells[3];
    for (size_t i = 0; i < 3; ++i) cells[i] = texts_of(values[i], reader, columns[i]);
    if (cells[0].size() != cells[1].size() || cells[0].size() != cells[2].size()) {
      throw_error(ErrorKind::bad_format, where,
                  "{} has {} items, {} has {}, {} has {}: the three lists of a row must be of one "
                  "length; repair the row",
                  store::column_words(columns[0]), cells[0].size(), store::column_words(columns[1]),
                  cells[1].size(), store::column_words(columns[2]), cells[2].size());
    }
    for (size_t i = 0; i < cells[0].size(); ++i) {
      add_pair(out, spec, std::move(cells[0][i]), std::move(cells[1][i]), cells[2][i], reader,
               columns[2]);
    }
  });
  const auto ones = std::count(out.labels.begin(), out.labels.end(), 1);
  if (ones == 0 || ones == static_cast<ptrdiff_t>(out.labels.size())) {
    throw_error(ErrorKind::bad_format, where,
                "of {} pairs up to here {} are matches: two classes are needed; check the split "
                "and label_map",
                out.labels.size(), ones);
  }
  return out;
}

struct Measure {
  const char* name;
  std::vector<double> PairScores::*values;
  bool higher_is_better;
};
constexpr Measure kMeasures[] = {{"similarity", &PairScores::similarity, true},
                                 {"cosine", &PairScores::cosine, true},
                                 {"manhattan", &PairScores::manhattan, false},
                                 {"euclidean", &PairScores::euclidean, false},
                                 {"dot", &PairScores::dot, true}};

Scores score(const PairScores& pairs, const std::vector<uint8_t>& labels,
             const std::string& main_score) {
  Scores out;
  constexpr const char* kKinds[] = {"accuracy", "f1", "precision", "recall", "ap"};
  double best[5] = {};
  const Measure* best_measure[5] = {};
  for (const auto& measure : kMeasures) {
    const ThresholdScores s =
        sweep_thresholds(labels, pairs.*measure.values, measure.higher_is_better);
    const double row[] = {s.accuracy, s.f1, s.precision, s.recall, s.ap};
    for (size_t i = 0; i < 5; ++i) {
      out.metrics[fmt::format("{}_{}", measure.name, kKinds[i])] = row[i];
      if (best_measure[i] != nullptr && row[i] <= best[i]) continue;
      best[i] = row[i];
      best_measure[i] = &measure;
    }
  }
  for (size_t i = 0; i < 5; ++i) out.metrics[fmt::format("max_{}", kKinds[i])] = best[i];
  if (main_score == "max_ap" || main_score == "max_accuracy") {
    const bool ap = main_score == "max_ap";
    const Measure& measure = *best_measure[ap ? 4 : 0];
    out.items.emplace();
    out.items->statistic = ap ? store::ItemStatistic::ap : store::ItemStatistic::accuracy;
    out.items->values = pairs.*measure.values;
    if (!measure.higher_is_better) {
      for (auto& value : out.items->values) value = -value;
    }
    out.items->gold.assign(labels.begin(), labels.end());
  }
  return out;
}

class PairClassificationTask final : public Task {
 public:
  std::string_view default_main_score() const override { return "max_ap"; }
  std::vector<Scores> evaluate(const Slice& slice, TaskContext& context) override {
    const Pairs pairs = read_pairs(slice, context);
    const Mat<float> a = encode_texts(context, pairs.a);
    const Mat<float> b = encode_texts(context, pairs.b);
    return for_each_dim(context, a.view(), b.view(), [&](auto x, auto y) {
      return score(score_pairs(x, y, uses_dot(context.encoder), context.pool), pairs.labels,
                   context.spec.main_score);
    });
  }
};

}  // namespace

std::unique_ptr<Task> make_pair_classification_task() {
  return std::make_unique<PairClassificationTask>();
}

}  // namespace akin::eval
