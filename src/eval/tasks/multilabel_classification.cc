// Multilabel classification: do the five nearest training texts tell all labels of a text?
//
// Computes  per experiment: training rows such that each label has samples_per_label, a vote of the
//           5 nearest of them by Euclidean distance; then means.
// Data      rows of text, label (a list), in a train split and the evaluated one.
// Options   samples_per_label, n_experiments, train_split.
// Returns   accuracy (exact match), f1, lrap, hamming, scores_per_experiment; main accuracy.
// Errors    bad_format for a split without labels, usage for fewer than 5 training rows.
// Source    mteb 2.20 AbsTaskMultilabelClassification.
#include <algorithm>
#include <map>
#include <numeric>

#include "base/error.h"
#include "eval/cached_encoder.h"
#include "eval/classification_metrics.h"
#include "eval/nearest_neighbors.h"
#include "eval/pair_scores.h"
#include "eval/rng.h"
#include "eval/split.h"
#include "eval/task.h"
#include "eval/task_data.h"

namespace akin::eval {
namespace {

constexpr size_t kNeighbours = 5;

struct Rows {
  std::vector<std::string> texts;
  std::vector<std::vector<std::string>> labels;
};

Rows read_rows(std::string_view role, const Slice& slice, const TaskContext& context) {
  Rows out;
  const std::string columns[] = {column(context.spec, "text", "text|sentence"),
                                 column(context.spec, "label", "label|labels")};
  context.data.each_row(role, slice, columns, [&](auto values, const auto& reader) {
    out.texts.push_back(text_of(values[0], reader, columns[0]));
    out.labels.push_back(texts_of(values[1], reader, columns[1]));
  });
  return out;
}

Mat<uint8_t> binarize(const std::vector<std::vector<std::string>>& labels,
                      const std::map<std::string, int32_t>& numbers) {
  Mat<uint8_t> out(labels.size(), numbers.size());
  for (size_t r = 0; r < labels.size(); ++r) {
    for (const auto& label : labels[r]) {
      const auto it = numbers.find(label);
      if (it != numbers.end()) out(r, static_cast<size_t>(it->second)) = 1;
    }
  }
  return out;
}

template <typename T>
Mat<T> gather(MatView<const T> from, const std::vector<size_t>& rows) {
  Mat<T> out(rows.size(), from.cols());
  for (size_t i = 0; i < rows.size(); ++i) std::copy_n(from.row(rows[i]), from.cols(), out.row(i));
  return out;
}

class MultilabelClassificationTask final : public Task {
 public:
  std::string_view default_main_score() const override { return "accuracy"; }
  std::vector<Scores> evaluate(const Slice& slice, TaskContext& context) override {
    const Rows train = read_rows("train", slice, context), test = read_rows("rows", slice, context);
    std::map<std::string, int32_t> numbers;
    for (const auto& row : test.labels) {
      for (const auto& label : row) numbers.emplace(label, 0);
    }
    if (numbers.empty()) {
      throw_error(ErrorKind::bad_format, context.data.files("rows", slice).paths[0].string(),
                  "no row of split \"{}\" has a label; check columns.label", slice.split);
    }
    int32_t next = 0;
    for (auto& [label, number] : numbers) number = next++;
    const auto samples = draw(train.labels, context);
    const Mat<uint8_t> train_labels = binarize(train.labels, numbers);
    const Mat<uint8_t> test_labels = binarize(test.labels, numbers);
    const Mat<float> a = encode_texts(context, train.texts);
    const Mat<float> b = encode_texts(context, test.texts);
    return for_each_dim(context, a.view(), b.view(), [&](auto x, auto y) {
      return score(samples, train_labels, test_labels, x, y, context);
    });
  }

 private:
  std::vector<std::vector<size_t>> draw(const std::vector<std::vector<std::string>>& labels,
                                        const TaskContext& context) {
    std::map<std::string, int32_t> numbers;
    std::vector<std::vector<int32_t>> ids(labels.size());
    for (size_t r = 0; r < labels.size(); ++r) {
      for (const auto& label : labels[r]) {
        ids[r].push_back(
            numbers.try_emplace(label, static_cast<int32_t>(numbers.size())).first->second);
      }
    }
    std::vector<std::vector<size_t>> out;
    for (uint64_t e = 0; e < context.spec.experiments; ++e) {
      std::vector<size_t> order(labels.size());
      std::iota(order.begin(), order.end(), size_t{0});
      out.push_back(undersample_multilabel(ids, context.spec.samples_per_label, order, random_));
    }
    return out;
  }

  static Scores score(const std::vector<std::vector<size_t>>& samples,
                      const Mat<uint8_t>& train_labels, const Mat<uint8_t>& test_labels,
                      MatView<const float> train, MatView<const float> test,
                      const TaskContext& context) {
    Scores out;
    auto experiments = nlohmann::ordered_json::array();
    for (const auto& rows : samples) {
      check_interrupted();
      const Mat<float> x = gather(train, rows);
      const Mat<uint8_t> labels = gather(train_labels.view(), rows);
      const Mat<uint8_t> predicted =
          vote_multilabel(x.view(), labels.view(), test, kNeighbours, context.pool);
      const MultilabelScores s = score_multilabel(test_labels.view(), predicted.view());
      experiments.push_back(
          {{"accuracy", s.accuracy}, {"f1", s.f1}, {"lrap", s.lrap}, {"hamming", s.jaccard}});
    }
    for (const char* name : {"accuracy", "f1", "lrap", "hamming"}) {
      std::vector<double> values;
      for (const auto& one : experiments) values.push_back(one.at(name).get<double>());
      if (name == context.spec.main_score) {
        out.items.emplace();
        out.items->values = values;
      }
      out.metrics[name] = mean_of(values);
    }
    out.metrics["scores_per_experiment"] = std::move(experiments);
    return out;
  }

  Pcg64 random_{42};  // goes on from one slice to the next
};

}  // namespace

std::unique_ptr<Task> make_multilabel_classification_task() {
  return std::make_unique<MultilabelClassificationTask>();
}

}  // namespace akin::eval
