// Clustering: does mini-batch k-means on the vectors find the labels?
//
// Computes  V-measure of k-means with as many clusters as there are labels. legacy: each row is a
//           set of its own. Else: a share of all documents is embedded, and for each level of their
//           labels 10 draws of max_documents of them, with replacement, are clustered.
// Data      rows of sentences, labels: lists (legacy), or one text and a label or a list of labels,
//           one for each level.
// Options   legacy, subsample, stratified, max_fraction, max_documents, drop_single_labels.
// Returns   v_measures, v_measure, v_measure_std, and unless legacy the same of adjusted mutual
//           information: ami_scores, ami, ami_std; main v_measure.
// Errors    bad_format when lists of a row differ in length, a label of a stratified draw occurs
//           once, or there are too few documents.
// Source    mteb 2.20 AbsTaskClusteringLegacy and AbsTaskClustering with scikit-learn 1.3 to 1.6.
#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "eval/cached_encoder.h"
#include "eval/cluster_metrics.h"
#include "eval/labelled_rows.h"
#include "eval/mini_batch_kmeans.h"
#include "eval/pair_scores.h"
#include "eval/rng.h"
#include "eval/split.h"
#include "eval/task.h"
#include "eval/task_data.h"

namespace akin::eval {
namespace {

constexpr size_t kDraws = 10;
constexpr size_t kLegacyBatch = 500, kFastBatch = 512;

struct Documents {
  std::vector<std::string> texts;
  std::vector<std::vector<std::string>> labels;  // one for each level
  std::map<std::string, std::string> where;      // first-level label -> place of its first document

  void add(std::string text, std::vector<std::string> levels, const store::RowReader& reader) {
    const std::string first = levels.empty() ? "" : levels[0];
    if (where.count(first) == 0) where.emplace(first, reader.where());
    texts.push_back(std::move(text));
    labels.push_back(std::move(levels));
  }
};

// One row: a text and its label, or lists of both.
void read_row(std::span<const store::Value> values, const store::RowReader& reader,
              const std::string* columns, Documents& out) {
  using Kind = store::Value::Kind;
  if (values[0].kind != Kind::list) {
    out.add(text_of(values[0], reader, columns[0]), texts_of(values[1], reader, columns[1]),
            reader);
    return;
  }
  const auto labels = store::as_list(values[1], reader, columns[1]);
  if (labels.size() != values[0].list.size()) {
    throw_error(ErrorKind::bad_format, reader.where(),
                "{} has {} items, {} has {}: both lists of a row must be of one length; repair the "
                "row",
                store::column_words(columns[0]), values[0].list.size(),
                store::column_words(columns[1]), labels.size());
  }
  for (size_t i = 0; i < labels.size(); ++i) {
    out.add(text_of(values[0].list[i], reader, columns[0]), texts_of(labels[i], reader, columns[1]),
            reader);
  }
}

std::vector<Documents> read_sets(const Slice& slice, const TaskContext& context) {
  std::vector<Documents> out;
  const std::string columns[] = {column(context.spec, "sentences", "sentences|text|sentence"),
                                 column(context.spec, "labels", "labels|label")};
  context.data.each_row("rows", slice, columns, [&](auto values, const auto& reader) {
    if (out.empty() || context.spec.legacy) out.emplace_back();
    read_row(values, reader, columns, out.back());
  });
  return out;
}

void keep(Documents& documents, const std::vector<size_t>& rows) {
  Documents out;
  out.where = std::move(documents.where);
  for (const size_t row : rows) {
    out.texts.push_back(std::move(documents.texts[row]));
    out.labels.push_back(std::move(documents.labels[row]));
  }
  documents = std::move(out);
}

void drop_single_labels(Documents& documents) {
  std::map<std::string, size_t> counts;
  for (const auto& labels : documents.labels) {
    if (!labels.empty()) ++counts[labels[0]];
  }
  std::vector<size_t> rows;
  for (size_t i = 0; i < documents.labels.size(); ++i) {
    if (!documents.labels[i].empty() && counts[documents.labels[i][0]] > 1) rows.push_back(i);
  }
  keep(documents, rows);
}

void draw_subsample(Documents& documents, const TaskSpec& spec) {
  if (spec.subsample == 0 || spec.subsample >= documents.texts.size()) return;
  if (!spec.stratified) {
    keep(documents, train_test_split(documents.texts.size(), spec.subsample).test);
    return;
  }
  std::vector<std::string_view> labels;
  LabelColumn column;
  column.where = documents.where;
  for (const auto& list : documents.labels) {
    if (list.empty()) {
      throw_error(ErrorKind::bad_format, documents.where.at(""),
                  "the document has no label, and the stratified draw of subsample needs one: "
                  "delete the row, or give it a label");
    }
    labels.emplace_back(list[0]);
    column.values.push_back(list[0]);
  }
  check_no_single_label(column, "subsample");
  keep(documents, stratified_subsample(labels, spec.subsample));
}

// Label -> number; returns how many there are.
size_t number(const std::vector<std::string>& labels, std::vector<int32_t>& out) {
  std::map<std::string, int32_t> numbers;
  for (const auto& label : labels) {
    out.push_back(numbers.try_emplace(label, static_cast<int32_t>(numbers.size())).first->second);
  }
  return numbers.size();
}

KMeansOptions options_for(size_t clusters, size_t batch) {
  KMeansOptions out;
  out.clusters = clusters;
  out.batch_rows = batch;
  return out;
}

// The documents that have a label of this level, and the draws of them.
struct Level {
  std::vector<size_t> documents;
  std::vector<int32_t> labels;
  size_t clusters = 0;
  std::vector<std::vector<size_t>> draws;
};

class ClusteringTask final : public Task {
 public:
  std::string_view default_main_score() const override { return "v_measure"; }
  std::vector<Scores> evaluate(const Slice& slice, TaskContext& context) override {
    auto sets = read_sets(slice, context);
    return context.spec.legacy ? score_sets(sets, context) : score_fast(sets.at(0), context);
  }

 private:
  static std::vector<Scores> score_sets(const std::vector<Documents>& sets, TaskContext& context) {
    std::vector<std::vector<double>> values(context.dims.size());
    uint64_t done = 0;
    for (const auto& set : sets) {
      std::vector<std::string> flat;
      for (const auto& labels : set.labels) flat.push_back(labels.empty() ? "" : labels[0]);
      std::vector<int32_t> truth;
      const size_t clusters = number(flat, truth);
      if (clusters <= 1) {
        for (auto& list : values) list.push_back(1.0);
        continue;
      }
      const Mat<float> vectors = encode_texts(context, set.texts);
      for (size_t d = 0; d < context.dims.size(); ++d) {
        const Mat<float> x = cut(vectors.view(), context.dims[d], context.encoder.normalizes());
        const auto found =
            mini_batch_kmeans(x.view(), options_for(clusters, kLegacyBatch), context.pool);
        values[d].push_back(v_measure(truth, found.labels).v);
        check_interrupted();
      }
      if (context.progress) context.progress({"clustering", ++done, sets.size(), "sets"});
    }
    std::vector<Scores> out;
    for (auto& list : values) {
      Scores& scores = out.emplace_back();
      scores.metrics["v_measure"] = mean_of(list);
      scores.metrics["v_measure_std"] = deviation_of(list);
      scores.metrics["v_measures"] = list;
      scores.items.emplace();
      scores.items->values = std::move(list);
    }
    return out;
  }

  std::vector<Scores> score_fast(Documents& documents, TaskContext& context) {
    const auto levels = draw(documents, context);
    const Mat<float> vectors = encode_texts(context, documents.texts);
    std::vector<Scores> out;
    for (const size_t dim : context.dims) {
      const Mat<float> x = cut(vectors.view(), dim, context.encoder.normalizes());
      out.push_back(score_levels(levels, x.view(), context));
    }
    return out;
  }

  std::vector<Level> draw(Documents& documents, const TaskContext& context) {
    const TaskSpec& spec = context.spec;
    if (spec.drop_single_labels) drop_single_labels(documents);
    draw_subsample(documents, spec);
    if (spec.max_fraction > 0 && spec.max_fraction < 1) {
      const auto count =
          static_cast<size_t>(spec.max_fraction * static_cast<double>(documents.texts.size()));
      keep(documents, random_.sample(documents.texts.size(), count));
    }
    size_t depth = 0;
    for (const auto& labels : documents.labels) depth = std::max(depth, labels.size());
    std::vector<Level> out;
    for (size_t level = 0; level < depth; ++level)
      out.push_back(draw_level(documents, level, spec));
    if (out.empty()) {
      throw_error(ErrorKind::bad_format, context.data.folder().string(),
                  "{} documents are left, none with a label; raise max_fraction, or check "
                  "columns.labels",
                  documents.texts.size());
    }
    return out;
  }

  Level draw_level(const Documents& documents, size_t level, const TaskSpec& spec) {
    Level out;
    std::vector<std::string> labels;
    for (size_t i = 0; i < documents.labels.size(); ++i) {
      if (documents.labels[i].size() <= level) continue;
      out.documents.push_back(i);
      labels.push_back(documents.labels[i][level]);
    }
    out.clusters = number(labels, out.labels);
    for (size_t i = 0; i < kDraws; ++i) {
      out.draws.push_back(random_.choices(out.documents.size(), spec.max_documents));
    }
    return out;
  }

  struct Agreement {
    double v = 0, ami = 0;
  };
  static Agreement cluster(const Level& level, const std::vector<size_t>& rows,
                           MatView<const float> vectors, const TaskContext& context) {
    Mat<float> x(rows.size(), vectors.cols());
    std::vector<int32_t> truth;
    for (size_t i = 0; i < rows.size(); ++i) {
      std::copy_n(vectors.row(level.documents[rows[i]]), vectors.cols(), x.row(i));
      truth.push_back(level.labels[rows[i]]);
    }
    const auto found =
        mini_batch_kmeans(x.view(), options_for(level.clusters, kFastBatch), context.pool);
    return {v_measure(truth, found.labels).v, adjusted_mutual_info(truth, found.labels)};
  }

  // By level, then the mean and the deviation over all draws of all levels.
  static std::vector<double> add(const std::string& name, const std::string& lists_name,
                                 const std::vector<std::vector<double>>& levels, Scores& out) {
    std::vector<double> all;
    nlohmann::ordered_json by_level;
    for (size_t level = 0; level < levels.size(); ++level) {
      by_level[fmt::format("Level {}", level)] = levels[level];
      all.insert(all.end(), levels[level].begin(), levels[level].end());
    }
    out.metrics[lists_name] = std::move(by_level);
    out.metrics[name] = mean_of(all);
    out.metrics[name + "_std"] = deviation_of(all);
    return all;
  }

  static Scores score_levels(const std::vector<Level>& levels, MatView<const float> vectors,
                             const TaskContext& context) {
    std::vector<std::vector<double>> v(levels.size()), ami(levels.size());
    uint64_t done = 0;
    for (size_t level = 0; level < levels.size(); ++level) {
      for (const auto& rows : levels[level].draws) {
        check_interrupted();
        const Agreement found = cluster(levels[level], rows, vectors, context);
        v[level].push_back(found.v);
        ami[level].push_back(found.ami);
        if (context.progress) {
          context.progress({"clustering", ++done, levels.size() * kDraws, "draws"});
        }
      }
    }
    Scores out;
    auto v_values = add("v_measure", "v_measures", v, out);
    auto ami_values = add("ami", "ami_scores", ami, out);
    const std::string& main_score = context.spec.main_score;
    if (main_score == "v_measure" || main_score == "ami") {
      out.items.emplace();
      out.items->values = std::move(main_score == "ami" ? ami_values : v_values);
    }
    return out;
  }

  PythonRandom random_{42};  // goes on from one slice to the next
};

}  // namespace

std::unique_ptr<Task> make_clustering_task() { return std::make_unique<ClusteringTask>(); }

}  // namespace akin::eval
