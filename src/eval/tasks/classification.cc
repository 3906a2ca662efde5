// Classification: how well does logistic regression on a few vectors of each label do?
//
// Computes  per experiment: samples_per_label rows of the train split, logistic regression on their
//           vectors as they are, its predictions on the whole test split; then means.
// Data      rows of text, label, in a train split and the evaluated one.
// Options   samples_per_label, n_experiments, train_split, subsample, hold_out, label_map.
// Returns   accuracy, f1, f1_weighted, precision, ..., ap when there are two labels,
//           scores_per_experiment; main accuracy.
// Errors    bad_format for one label only; for a stratified draw also for a label that occurs once.
// Source    mteb 2.20 AbsTaskClassification with scikit-learn >= 1.4.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "eval/cached_encoder.h"
#include "eval/classification_metrics.h"
#include "eval/labelled_rows.h"
#include "eval/logistic_regression.h"
#include "eval/pair_scores.h"
#include "eval/split.h"
#include "eval/task.h"
#include "eval/task_data.h"

namespace akin::eval {
namespace {

// Labels of both sides as numbers, texts of the rows that are embedded.
struct Prepared {
  std::vector<std::string> train_texts, test_texts;
  std::vector<int32_t> train_labels, test_labels;
  std::vector<std::vector<size_t>> samples;  // of each experiment, numbers into train_texts
  size_t labels = 0;
};

std::vector<std::string> pick(const std::vector<std::string>& from,
                              const std::vector<size_t>& rows) {
  std::vector<std::string> out;
  out.reserve(rows.size());
  for (const size_t row : rows) out.push_back(from[row]);
  return out;
}

// Row numbers of the two sides in their files, before sampling.
struct Sides {
  std::string train_role = "train";
  LabelColumn train_column, test_column;
  std::vector<size_t> train_rows, test_rows;
  std::map<std::string, int32_t> numbers;
};

Sides read_sides(const Slice& slice, const TaskContext& context) {
  Sides out;
  const TaskSpec& spec = context.spec;
  out.test_column = read_labels("rows", slice, context);
  out.test_rows.resize(out.test_column.values.size());
  std::iota(out.test_rows.begin(), out.test_rows.end(), size_t{0});
  if (spec.hold_out > 0) {
    if (spec.hold_out >= out.test_rows.size()) {
      throw_error(ErrorKind::usage, spec.where, "hold_out = {}, but the file has {} rows",
                  spec.hold_out, out.test_rows.size());
    }
    check_no_single_label(out.test_column, "hold_out");
    out.train_role = "rows";
    out.train_column = out.test_column;
    const LabelColumn* columns[] = {&out.test_column};
    out.numbers = number_labels(columns, /*as_text=*/true);
    auto split =
        stratified_train_test_split(numbers_of(out.test_column.values, out.numbers), spec.hold_out);
    out.train_rows = std::move(split.train);
    out.test_rows = std::move(split.test);
    return out;
  }
  out.train_column = read_labels("train", slice, context);
  out.train_rows.resize(out.train_column.values.size());
  std::iota(out.train_rows.begin(), out.train_rows.end(), size_t{0});
  const LabelColumn* columns[] = {&out.train_column, &out.test_column};
  const bool draws = spec.subsample > 0 && spec.subsample < out.test_rows.size();
  out.numbers = number_labels(columns, draws);
  if (draws) {
    if (spec.stratified) check_no_single_label(out.test_column, "subsample");
    const std::vector<std::string_view> labels(out.test_column.values.begin(),
                                               out.test_column.values.end());
    out.test_rows = spec.stratified ? stratified_subsample(labels, spec.subsample)
                                    : train_test_split(labels.size(), spec.subsample).test;
  }
  return out;
}

Prepared prepare(const Slice& slice, const TaskContext& context) {
  Prepared out;
  const Sides sides = read_sides(slice, context);
  const std::vector<int32_t> all =
      numbers_of(pick(sides.train_column.values, sides.train_rows), sides.numbers);
  std::vector<size_t> order(all.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::map<size_t, size_t> place;  // number in train_rows -> number in train_texts
  std::vector<size_t> chosen;
  for (uint64_t e = 0; e < context.spec.experiments; ++e) {
    auto rows = undersample(all, context.spec.samples_per_label, order);
    for (auto& row : rows) {
      const auto [it, fresh] = place.try_emplace(row, chosen.size());
      if (fresh) {
        chosen.push_back(sides.train_rows[row]);
        out.train_labels.push_back(all[row]);
      }
      row = it->second;
    }
    out.samples.push_back(std::move(rows));
  }
  out.train_texts = read_chosen(sides.train_role, slice, context, chosen);
  out.test_texts = read_chosen("rows", slice, context, sides.test_rows);
  out.test_labels = numbers_of(pick(sides.test_column.values, sides.test_rows), sides.numbers);
  out.labels = sides.numbers.size();
  return out;
}

nlohmann::ordered_json as_json(const ClassificationScores& s) {
  nlohmann::ordered_json out = {{"accuracy", s.accuracy},
                                {"f1", s.f1},
                                {"f1_weighted", s.f1_weighted},
                                {"precision", s.precision},
                                {"precision_weighted", s.precision_weighted},
                                {"recall", s.recall},
                                {"recall_weighted", s.recall_weighted}};
  if (s.ap) out["ap"] = *s.ap;
  if (s.ap_weighted) out["ap_weighted"] = *s.ap_weighted;
  return out;
}

Scores score(const Prepared& data, MatView<const float> train, MatView<const float> test,
             const TaskContext& context) {
  Scores out;
  const auto models = fit_logistic_many(train, data.train_labels, data.samples, {}, context.pool);
  auto experiments = nlohmann::ordered_json::array();
  std::vector<double> correct(data.test_labels.size(), 0.0);
  const bool binary_ap =
      data.labels == 2 || std::count(data.test_labels.begin(), data.test_labels.end(), 1) > 0;
  for (const auto& model : models) {
    check_interrupted();
    const auto predicted = model.predict(test, context.pool);
    for (size_t i = 0; i < correct.size(); ++i) {
      correct[i] +=
          predicted[i] == data.test_labels[i] ? 1.0 / static_cast<double>(models.size()) : 0.0;
    }
    experiments.push_back(as_json(score_classification(data.test_labels, predicted, binary_ap)));
  }
  for (const auto& [name, value] : experiments.at(0).items()) {
    std::vector<double> values;
    for (const auto& experiment : experiments) values.push_back(experiment.at(name).get<double>());
    out.metrics[name] = mean_of(values);
  }
  out.metrics["scores_per_experiment"] = std::move(experiments);
  if (context.spec.main_score == "accuracy") {
    out.items.emplace();
    out.items->values = std::move(correct);
  }
  return out;
}

class ClassificationTask final : public Task {
 public:
  std::string_view default_main_score() const override { return "accuracy"; }
  std::vector<Scores> evaluate(const Slice& slice, TaskContext& context) override {
    if (context.spec.experiments == 0 || context.spec.samples_per_label == 0) {
      throw_error(ErrorKind::usage, context.spec.where,
                  "n_experiments and samples_per_label must be at least 1");
    }
    const Prepared data = prepare(slice, context);
    const Mat<float> train = encode_texts(context, data.train_texts);
    const Mat<float> test = encode_texts(context, data.test_texts);
    return for_each_dim(context, train.view(), test.view(),
                        [&](auto x, auto y) { return score(data, x, y, context); });
  }
};

}  // namespace

std::unique_ptr<Task> make_classification_task() { return std::make_unique<ClassificationTask>(); }

}  // namespace akin::eval
