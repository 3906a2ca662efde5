// How fast are the evaluators alone, embedding excluded? One JSON line a case: median seconds of
// several runs and the score found. bench/peers/eval_sklearn.py makes the same vectors, does the
// same with scikit-learn, runs this program in turns with it and prints the ratios.
//
//   eval_bench [--threads N] [--runs N] [--vectors FOLDER] [case ...]
// A case is a group (classify, cluster, metrics, rank, retrieve) or the name of one. A folder of
// vectors, NAME.npy with a number of a class in each line of NAME.txt, gives cases "cluster NAME".
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "base/threads.h"
#include "eval/average_precision.h"
#include "eval/classification_metrics.h"
#include "eval/cluster_metrics.h"
#include "eval/correlation.h"
#include "eval/logistic_regression.h"
#include "eval/mini_batch_kmeans.h"
#include "eval/ranking.h"
#include "eval/rng.h"
#include "eval/split.h"
#include "index/flat.h"
#include "kernels/cpu.h"
#include "store/vectors_file.h"

namespace {

using namespace akin;        // NOLINT: a benchmark's main file
using namespace akin::eval;  // NOLINT

struct Data {
  Mat<float> x;
  std::vector<int32_t> labels;
};

// Rows of uniform noise of norm about 1, the columns j = label (mod classes) raised by `shift`
// noise deviations.
Data make(uint32_t seed, size_t rows, size_t dims, size_t classes, double shift) {
  NumpyRandom rng(seed);
  Data out{Mat<float>(rows, dims), std::vector<int32_t>(rows)};
  const double scale = std::sqrt(12.0 / static_cast<double>(dims));
  for (size_t r = 0; r < rows; ++r) {
    out.labels[r] = static_cast<int32_t>(r % classes);
    for (size_t c = 0; c < dims; ++c) {
      const double lift = c % classes == r % classes ? shift : 0;
      out.x(r, c) = static_cast<float>((rng.uniform() - 0.5 + lift) * scale);
    }
  }
  return out;
}

struct Options {
  size_t threads = usable_cpus(), runs = 5;
  std::string vectors;  // a folder; empty: none
  std::vector<std::string> cases;
  bool wants(const std::string& name) const {
    return std::any_of(cases.begin(), cases.end(),
                       [&](const std::string& word) {
                         return name.starts_with(word) || word.starts_with(name);
                       }) ||
           cases.empty();
  }
};

// Times `work`, which returns the case's score.
void report(const Options& options, const std::string& name, const std::function<double()>& work) {
  if (!options.wants(name)) return;
  std::vector<double> seconds, cpu_seconds;  // the second is steadier on a busy machine
  double score = 0;
  for (size_t run = 0; run < options.runs; ++run) {
    const std::clock_t cpu_start = std::clock();
    const auto start = std::chrono::steady_clock::now();
    score = work();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    cpu_seconds.push_back(static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC);
  }
  std::sort(seconds.begin(), seconds.end());
  std::sort(cpu_seconds.begin(), cpu_seconds.end());
  fmt::print(
      "{{\"case\":\"{}\",\"seconds\":{:.6f},\"cpu_seconds\":{:.6f},\"unit\":\"s\",\"n\":{},\"min\":"
      "{:.6f},\"max\":{:.6f},"
      "\"score\":{:.9f},\"threads\":{},\"isa\":\"{}\",\"compiler\":\"{}\"}}\n",
      name, seconds[seconds.size() / 2], cpu_seconds[seconds.size() / 2], options.runs,
      seconds.front(), seconds.back(), score, options.threads,
      kernels::isa_name(kernels::active_isa()), __VERSION__);
  std::fflush(stdout);
}

// Ten experiments: sample, fit, predict, score.
double classify(const Data& train, const Data& test, size_t per_label, LogisticForm form,
                ThreadPool& pool) {
  std::vector<size_t> order(train.labels.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<std::vector<size_t>> samples;
  for (int e = 0; e < 10; ++e) samples.push_back(undersample(train.labels, per_label, order));
  const auto models =
      fit_logistic_many(train.x.view(), train.labels, samples, {.form = form}, pool);
  double accuracy = 0;
  for (const auto& predicted : predict_many(models, test.x.view(), pool))
    accuracy += score_classification(test.labels, predicted).accuracy / 10;
  return accuracy;
}

void classification(const Options& options, ThreadPool& pool) {
  struct Case {
    std::string name;
    size_t train, test, dims, classes, per_label;
    double shift;
  };
  for (const Case& c :
       {Case{"classify 77 labels x 8, 384 dims, 3080 test rows", 10003, 3080, 384, 77, 8, 0.8},
        {"classify 15 labels x 32, 512 dims, 10000 test rows", 53360, 10000, 512, 15, 32, 0.15},
        {"classify 2 labels x 32, 512 dims, 1000 test rows", 8000, 1000, 512, 2, 32, 0.03},
        {"classify 2 labels x 8, 384 dims, 25000 test rows", 25000, 25000, 384, 2, 8, 0.03}}) {
    if (!options.wants(c.name)) continue;
    const Data train = make(1, c.train, c.dims, c.classes, c.shift);
    const Data test = make(2, c.test, c.dims, c.classes, c.shift);
    report(options, c.name + ", sum form",
           [&] { return classify(train, test, c.per_label, LogisticForm::sum, pool); });
    report(options, c.name + ", mean form",
           [&] { return classify(train, test, c.per_label, LogisticForm::mean, pool); });
  }
}

void report_clustering(const Options& options, const std::string& name, const Data& data,
                       size_t clusters, size_t batch, ThreadPool& pool) {
  const KMeansOptions k = {
      .clusters = clusters, .batch_rows = batch, .regime = KMeansRegime::randint};
  report(options, name, [&] {
    return v_measure(data.labels, mini_batch_kmeans(data.x.view(), k, pool).labels).v;
  });
}

void clustering(const Options& options, ThreadPool& pool) {
  struct Case {
    std::string name;
    size_t rows, dims, clusters, batch;
    double shift;
  };
  for (const Case& c :
       {Case{"cluster 10000 rows, 13 clusters, 512 dims", 10000, 512, 13, 500, 0.2},
        {"cluster 7500 rows, 26 clusters, 384 dims", 7500, 384, 26, 500, 0.3},
        {"cluster 23000 rows, 100 clusters, 384 dims", 23000, 384, 100, 500, 0.6},
        {"cluster 16384 rows, 120 clusters, 768 dims", 16384, 768, 120, 512, 0.5}}) {
    if (!options.wants(c.name)) continue;
    const Data data = make(3, c.rows, c.dims, c.clusters, c.shift);
    report_clustering(options, c.name, data, c.clusters, c.batch, pool);
  }
}

// Vectors that a model has made, as many clusters as classes.
void clustering_of_files(const Options& options, ThreadPool& pool) {
  std::set<std::filesystem::path> files;
  if (!options.vectors.empty()) {
    for (const auto& entry : std::filesystem::directory_iterator(options.vectors)) {
      if (entry.path().extension() == ".npy") files.insert(entry.path());
    }
  }
  for (auto path : files) {
    const std::string name = "cluster " + path.stem().string();
    if (!options.wants(name)) continue;
    Data data{store::read_npy(path), {}};
    std::ifstream labels(path.replace_extension(".txt"));
    for (int32_t label = 0; labels >> label;) data.labels.push_back(label);
    if (data.labels.size() != data.x.rows()) {
      throw_error(ErrorKind::bad_format, path.string(), "{} labels for {} vectors",
                  data.labels.size(), data.x.rows());
    }
    const std::set<int32_t> classes(data.labels.begin(), data.labels.end());
    report_clustering(options, name, data, classes.size(), 500, pool);
  }
}

void metrics(const Options& options) {
  if (!options.wants("metrics")) return;
  NumpyRandom rng(4);
  const size_t n = 20000;
  std::vector<double> x(n), y(n);
  std::vector<uint8_t> labels(n);
  std::vector<int32_t> truth(n), predicted(n);
  for (size_t i = 0; i < n; ++i) {
    x[i] = rng.uniform();
    y[i] = std::floor((x[i] + rng.uniform()) * 5);
    labels[i] = y[i] > 5 ? 1 : 0;
    truth[i] = static_cast<int32_t>(y[i]);
    predicted[i] = static_cast<int32_t>(x[i] * 10);
  }
  report(options, "metrics: spearman of 20000 pairs", [&] { return spearman(x, y).statistic; });
  report(options, "metrics: average precision of 20000 pairs",
         [&] { return average_precision(labels, x); });
  report(options, "metrics: adjusted mutual information of 20000 rows",
         [&] { return adjusted_mutual_info(truth, predicted); });
}

// 2000 queries, 1000 documents ranked for each.
void ranking(const Options& options, ThreadPool& pool) {
  if (!options.wants("rank")) return;
  const size_t queries = 2000, depth = 1000;
  NumpyRandom rng(5);
  std::vector<std::string> ids;
  for (size_t d = 0; d < 100000; ++d) ids.push_back(fmt::format("doc{}", d));
  std::vector<std::vector<RankedDoc>> runs(queries);
  std::vector<std::vector<Judgement>> qrels(queries);
  std::vector<RankedQuery> input;
  for (size_t q = 0; q < queries; ++q) {
    const size_t first = rng.randint(ids.size() - 10 * depth);
    for (size_t d = 0; d < depth; ++d)
      runs[q].push_back(
          {static_cast<float>(std::floor(rng.uniform() * 5000) / 5000), ids[first + 7 * d]});
    for (size_t j = 0; j < 5; ++j) qrels[q].push_back({ids[first + 7 * 13 * j], 1});
    input.push_back({ids[q], runs[q], qrels[q]});
  }
  report(options, "rank 2000 queries x 1000 documents",
         [&] { return evaluate_ranking(input, kDefaultCutoffs, pool).aggregate()[3].second; });
}

// Search and scores of it: each query is noise and a third of the first of its five documents.
void retrieval(const Options& options, ThreadPool& pool) {
  struct Case {
    std::string name;
    size_t documents, queries, dims;
  };
  for (const Case& c :
       {Case{"retrieve 10000 documents, 1000 queries, 256 dims", 10000, 1000, 256},
        {"retrieve 100000 documents, 10000 queries, 512 dims", 100000, 10000, 512}}) {
    if (!options.wants(c.name)) continue;
    constexpr size_t kRelevant = 5, kDepth = 1000;
    const Data documents = make(6, c.documents, c.dims, 1, 0);
    Data queries = make(7, c.queries, c.dims, 1, 0);
    std::vector<std::string> ids;
    for (size_t d = 0; d < c.documents; ++d) ids.push_back(fmt::format("doc{}", d));
    std::vector<std::vector<Judgement>> qrels(c.queries);
    for (size_t q = 0; q < c.queries; ++q) {
      for (size_t j = 0; j < kRelevant; ++j) qrels[q].push_back({ids[q * 10 + j], 1});
      for (size_t k = 0; k < c.dims; ++k) queries.x(q, k) += 0.3F * documents.x(q * 10, k);
    }
    report(options, c.name, [&] {
      index::FlatSearch search(queries.x.view(), kDepth, pool);
      search.add(documents.x.view(), 0);
      std::vector<std::vector<RankedDoc>> rankings(c.queries);
      parallel_for(pool, c.queries, 8, [&](size_t q, size_t) {
        const auto hits = search.result(q);
        rankings[q].reserve(hits.size());
        for (const auto& hit : hits) rankings[q].push_back({hit.score, ids[hit.doc]});
      });
      std::vector<RankedQuery> input;
      for (size_t q = 0; q < c.queries; ++q) input.push_back({ids[q], rankings[q], qrels[q]});
      return evaluate_ranking(input, kDefaultCutoffs, pool).aggregate()[3].second;
    });
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--threads" && i + 1 < argc) {
      options.threads = std::stoul(argv[++i]);
    } else if (word == "--runs" && i + 1 < argc) {
      options.runs = std::max(1UL, std::stoul(argv[++i]));
    } else if (word == "--vectors" && i + 1 < argc) {
      options.vectors = argv[++i];
    } else {
      options.cases.push_back(word);
    }
  }
  ThreadPool pool(options.threads);
  classification(options, pool);
  clustering(options, pool);
  clustering_of_files(options, pool);
  metrics(options);
  ranking(options, pool);
  retrieval(options, pool);
}
