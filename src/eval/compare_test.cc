// Means, ranks, comparison and the report over runs written to a folder, and the resampling against
// the plain way of doing it.
#include "eval/compare.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "eval/average_precision.h"
#include "eval/benchmarks.h"
#include "eval/correlation.h"
#include "eval/paired_statistic.h"
#include "eval/published.h"
#include "eval/report_html.h"
#include "store/item_scores.h"

namespace akin::eval {
namespace {

using Json = nlohmann::ordered_json;
using store::ItemStatistic;

store::TaskResult make_result(const std::string& name, const std::string& type, double score,
                              const std::vector<std::string>& splits = {"test"}) {
  store::TaskResult result;
  result.task_name = name;
  result.dataset_revision = "rev";
  result.mteb_version = "2.20.0";
  for (const auto& split : splits) {
    result.scores.push_back({split, {{{"main_score", score}, {"hf_subset", "default"}}}});
  }
  result.extra["akin"] = {{"task_type", type}, {"dims", 64}, {"dtype", "f32"}};
  return result;
}

RunResults make_run(const std::string& model, double shift) {
  RunResults run;
  run.model = model;
  run.revision = "r1";
  run.tasks = {make_result("S1", "STS", 0.5 + shift), make_result("S2", "STS", 0.7 + shift),
               make_result("R1", "Retrieval", 0.3 + 2 * shift)};
  collect_facts(run);
  return run;
}

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "akin_runs_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path write(const RunResults& run) const {
    const auto folder = store::result_folder(path_, run.model, run.revision, run.experiment);
    std::filesystem::create_directories(folder);
    for (const auto& task : run.tasks) {
      store::write_task_result(folder / (task.task_name + ".json"), task);
    }
    return folder;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(Aggregate, MeansOverTasksAndTypes) {
  const auto run = make_run("m", 0);
  const std::vector<CountedTask> tasks = {
      {"S1", "STS", {}, {}}, {"S2", "STS", {}, {}}, {"R1", "Retrieval", {}, {}}};
  const auto summary = summarize(run, tasks);
  EXPECT_NEAR(summary.mean_task.value(), 0.5, 1e-12);
  EXPECT_NEAR(summary.mean_type.value(), 0.45, 1e-12);
  auto more = tasks;
  more.push_back({"S3", "STS", {}, {}});
  const auto partial = summarize(run, more);
  EXPECT_FALSE(partial.mean_task || partial.mean_type || partial.types[0].mean);
  EXPECT_NEAR(partial.mean_task_of_scored, 0.5, 1e-12);
  EXPECT_EQ(partial.tasks.back().missing, "no result");
}

TEST(Aggregate, TaskScoreIsTheMeanOverSplitsAndSubsets) {
  auto result = make_result("T", "STS", 0.4, {"validation", "test"});
  result.scores[1].entries.push_back({{"main_score", 0.9}, {"hf_subset", "zh"}});
  EXPECT_NEAR(*task_score(&result, {"T", "STS", {}, {}}).score, (0.4 + 0.4 + 0.9) / 3, 1e-12);
  EXPECT_NEAR(*task_score(&result, {"T", "STS", {"test"}, {"zh"}}).score, 0.9, 1e-12);
  EXPECT_EQ(task_score(&result, {"T", "STS", {"dev"}, {}}).missing, "split dev");
  EXPECT_EQ(task_score(&result, {"T", "STS", {"test"}, {"fr"}}).missing, "subset fr of test");
  result.scores[0].entries[0]["main_score"] = nullptr;
  EXPECT_FALSE(task_score(&result, {"T", "STS", {}, {}}).score);
}

TEST(Aggregate, BordaCountSharesTiesAndGivesNothingForMissing) {
  // Task 1: 3 models, a tie for first (rank 1.5, 1.5 points each). Task 2: one missing.
  const auto ranks = borda_ranks({{0.9, 0.1}, {0.9, std::nullopt}, {0.5, 0.4}});
  EXPECT_DOUBLE_EQ(ranks[0].points, 1.5 + 1);
  EXPECT_DOUBLE_EQ(ranks[1].points, 1.5);
  EXPECT_DOUBLE_EQ(ranks[2].points, 0 + 2);
  EXPECT_EQ(ranks[0].rank, 1U);
  EXPECT_EQ(ranks[1].rank, 3U);
  EXPECT_EQ(ranks[2].rank, 2U);
  EXPECT_TRUE(borda_ranks({}).empty());
}

TEST(Published, HasTheNumbersOfTheLeaderboard) {
  EXPECT_EQ(find_published_model("all-minilm-l6-v2"), "sentence-transformers/all-MiniLM-L6-v2");
  EXPECT_TRUE(find_published_model("nothing").empty());
  EXPECT_NEAR(published_score("minishlab/potion-base-8M", "Banking77Classification")->score, 0.7,
              0.2);
  EXPECT_FALSE(published_score("minishlab/potion-base-8M", "NoSuchTask"));
  // Mean over the 41 tasks of MTEB(eng, v2) as its table has it.
  const auto run = published_run("BAAI/bge-small-en-v1.5");
  std::vector<CountedTask> tasks;
  for (const auto& task : benchmark_tasks("MTEB(eng, v2)")) tasks.push_back(counted_task(task));
  EXPECT_EQ(tasks.size(), 41U);
  const auto summary = summarize(run, tasks);
  EXPECT_NEAR(100 * summary.mean_task.value(), 64.30, 0.005);
  EXPECT_NEAR(100 * summary.mean_type.value(), 59.93, 0.005);
  EXPECT_THROW(published_run("nothing"), Error);
}

// A match from some score on, which is not the least: the most that are right.
double best_accuracy(const std::vector<uint8_t>& labels, const std::vector<double>& scores) {
  const double least = *std::min_element(scores.begin(), scores.end());
  double most = std::nan("");
  for (const double threshold : scores) {
    if (threshold == least) continue;
    double right = 0;
    for (size_t i = 0; i < scores.size(); ++i) {
      right += (scores[i] >= threshold) == (labels[i] == 1) ? 1 : 0;
    }
    if (!(right <= most)) most = right;
  }
  return most / static_cast<double>(scores.size());
}

TEST(PairedStatistic, EqualsThePlainWay) {
  const size_t n = 40;
  Rng rng(9);
  std::vector<double> a(n), b(n), gold(n), binary(n);
  for (size_t i = 0; i < n; ++i) {
    gold[i] = static_cast<double>(rng.below(6));
    binary[i] = gold[i] > 2 ? 1 : 0;
    a[i] = std::round((gold[i] + 2 * rng.normal()) * 2) / 2;  // ties
    b[i] = gold[i] + 3 * rng.normal();
  }
  const auto plain = [&](ItemStatistic statistic, const std::vector<size_t>& rows,
                         const std::vector<double>& scores) {
    std::vector<double> x, y;
    std::vector<uint8_t> labels;
    for (const size_t row : rows) {
      x.push_back(scores[row]);
      y.push_back(gold[row]);
      labels.push_back(static_cast<uint8_t>(binary[row]));
    }
    if (statistic == ItemStatistic::ap) return average_precision(labels, x);
    if (statistic == ItemStatistic::accuracy) return best_accuracy(labels, x);
    return statistic == ItemStatistic::spearman ? spearman(x, y).statistic
                                                : pearson(x, y).statistic;
  };
  for (const auto statistic : {ItemStatistic::spearman, ItemStatistic::pearson, ItemStatistic::ap,
                               ItemStatistic::accuracy}) {
    const bool binary_gold = statistic == ItemStatistic::ap || statistic == ItemStatistic::accuracy;
    const BootstrapOptions options{.samples = 200, .level = 0.9, .seed = 5};
    const auto test = paired_statistic_test(statistic, a, b, binary_gold ? binary : gold, options);
    std::vector<size_t> rows(n);
    for (size_t i = 0; i < n; ++i) rows[i] = i;
    EXPECT_NEAR(test.difference, plain(statistic, rows, a) - plain(statistic, rows, b), 1e-12);
    Rng draws(5);
    std::vector<double> samples;
    for (size_t s = 0; s < 200; ++s) {
      for (auto& row : rows) row = draws.below(n);
      samples.push_back(plain(statistic, rows, a) - plain(statistic, rows, b));
    }
    std::sort(samples.begin(), samples.end());
    EXPECT_NEAR(test.interval.low, samples[static_cast<size_t>(std::lround(0.05 * 199))], 1e-12);
    EXPECT_NEAR(test.interval.high, samples[static_cast<size_t>(std::lround(0.95 * 199))], 1e-12);
    EXPECT_GT(test.p_value, 0);
    EXPECT_LE(test.p_value, 1);
    const auto same = paired_statistic_test(statistic, a, a, binary_gold ? binary : gold, options);
    EXPECT_DOUBLE_EQ(same.difference, 0);
    EXPECT_DOUBLE_EQ(same.p_value, 1);
  }
  EXPECT_THROW(paired_statistic_test(ItemStatistic::spearman, a, b, {}), Error);
  const std::vector<double> flat(n, 1.0);
  EXPECT_THROW(paired_statistic_test(ItemStatistic::spearman, flat, b, gold), Error);
}

TEST(Compare, TestsWhatHasItemsAndNamesWhatHasNot) {
  const Folder folder;
  auto a = make_run("org/a", 0), b = make_run("org/b", 0.1);
  b.tasks[0].dataset_revision = "other";
  b.tasks.push_back(make_result("Extra", "STS", 0.1));
  const auto at_a = folder.write(a), at_b = folder.write(b);
  store::ItemScores items{.split = "test", .metric = "ndcg_at_10"};
  Rng rng(1);
  for (size_t i = 0; i < 200; ++i) {
    items.values.push_back(0.3 + 0.2 * ((i % 2 == 0) ? 1 : -1));
    items.ids.push_back("q" + std::to_string(i));
  }
  store::write_item_scores(at_a, "R1", {items});
  std::reverse(items.ids.begin(), items.ids.end());
  std::reverse(items.values.begin(), items.values.end());
  for (auto& value : items.values) value += 0.2;
  store::write_item_scores(at_b, "R1", {items});
  const auto result = compare_runs(load_run(at_a.string()), load_run(at_b.string()));
  ASSERT_EQ(result.tasks.size(), 3U);
  const auto& retrieval = result.tasks[0];
  EXPECT_EQ(retrieval.task, "R1");
  ASSERT_TRUE(retrieval.tested) << retrieval.untested;
  EXPECT_NEAR(retrieval.tested->value, 0.2, 1e-9);  // paired by id, not by place
  EXPECT_NEAR(retrieval.tested->low, 0.2, 1e-9);
  EXPECT_LT(retrieval.tested->p, 0.01);
  EXPECT_EQ(retrieval.tested->unit, "queries");
  EXPECT_EQ(result.tasks[1].untested, "no item scores on file");
  EXPECT_EQ(result.only_b, std::vector<std::string>{"Extra"});
  EXPECT_EQ(result.wins_b, 3U);
  ASSERT_TRUE(result.mean_task);
  EXPECT_NEAR(result.mean_task->value, 0.4 / 3, 1e-9);
  bool revision = false;
  for (const auto& field : result.config) {
    revision |= field.place == "S1" && field.field == "dataset_revision" && field.b == "\"other\"";
    EXPECT_NE(field.field, "evaluation_time");
  }
  EXPECT_TRUE(revision);
  EXPECT_EQ(comparison_json(result)["tasks"].size(), 3U);
}

TEST(Compare, UsesExperimentsOfTheFileAndRefusesItemsOfAnotherRun) {
  auto a = make_run("a", 0), b = make_run("b", 0.1);
  const auto experiments = [](double base) {
    Json list = Json::array();
    for (int i = 0; i < 10; ++i)
      list.push_back({{"accuracy", base + 0.01 * (i - 4.5)}, {"f1", 0.1}});
    return list;
  };
  a.tasks = {make_result("C", "Classification", 0.5)};
  b.tasks = {make_result("C", "Classification", 0.6)};
  a.tasks[0].scores[0].entries[0]["scores_per_experiment"] = experiments(0.5);
  b.tasks[0].scores[0].entries[0]["scores_per_experiment"] = experiments(0.6);
  auto result = compare_runs(a, b);
  ASSERT_TRUE(result.tasks[0].tested) << result.tasks[0].untested;
  EXPECT_EQ(result.tasks[0].tested->items, 10U);
  EXPECT_EQ(result.tasks[0].tested->unit, "experiments");
  const Folder folder;
  a.folder = folder.write(a);
  store::write_item_scores(a.folder, "C", {{.split = "test", .metric = "x", .values = {0.1, 0.2}}});
  result = compare_runs(a, b);  // the stray file is passed over for what the result itself has
  EXPECT_TRUE(result.tasks[0].tested);
}

TEST(Compare, TestsTheMeanOfUnequalSubsetsThatTheScoreIs) {
  auto a = make_run("a", 0), b = make_run("b", 0);
  const Folder folder;
  for (auto* run : {&a, &b}) {
    const bool first = run == &a;
    run->tasks = {make_result("R", "Retrieval", 0.5)};
    auto& entries = run->tasks[0].scores[0].entries;
    entries[0]["main_score"] = 0.5;  // 200 queries, equal
    entries.push_back({{"main_score", first ? 0.9 : 0.3}, {"hf_subset", "small"}});  // 8, far apart
    run->folder = folder.write(*run);
    store::write_item_scores(run->folder, "R",
                             {{.split = "test", .values = std::vector<double>(200, 0.5)},
                              {.split = "test",
                               .subset = "small",
                               .values = std::vector<double>(8, first ? 0.9 : 0.3)}});
  }
  const auto result = compare_runs(a, b);
  ASSERT_TRUE(result.tasks[0].tested) << result.tasks[0].untested;
  EXPECT_NEAR(*result.tasks[0].difference, -0.3, 1e-9);
  EXPECT_NEAR(result.tasks[0].tested->value, -0.3, 1e-9);
  EXPECT_NEAR(result.tasks[0].tested->low, -0.3, 1e-9);
  EXPECT_NEAR(result.tasks[0].tested->high, -0.3, 1e-9);
  EXPECT_LT(result.tasks[0].tested->p, 0.05);
  EXPECT_EQ(result.tasks[0].tested->items, 208U);
}

TEST(RunResults, AreFoundBelowAFolder) {
  const Folder folder;
  auto a = make_run("org/a", 0);
  const auto at = folder.write(a);
  write_file(at / "run_settings.jsonl",
             "{\"task\": \"S1\", \"batch\": 8, \"threads\": 2}\n{\"task\": \"S2\", \"batch\": 16, "
             "\"threads\": 2}\n");
  a.experiment = "dims=32";
  a.tasks[0].extra["akin"]["dims"] = 32;
  folder.write(a);
  EXPECT_EQ(load_runs(folder.path()).size(), 2U);
  const auto run = load_run(folder.path().string());  // experiments need their own folder
  EXPECT_EQ(run.model, "org/a");
  EXPECT_EQ(run.revision, "r1");
  EXPECT_EQ(run.facts.dims, 64U);
  EXPECT_EQ(run.config["threads"], 2);
  EXPECT_EQ(run.config["tasks"]["S2"]["batch"], 16);
  EXPECT_EQ(load_run((at / "S1.json").string()).tasks.size(), 1U);
  EXPECT_TRUE(load_run("published:bge-small-zh").published);
  const auto experiment = load_run((at / "experiments" / "dims=32").string());
  EXPECT_EQ(experiment.label(), "org/a (dims=32)");
  folder.write(make_run("org/b", 0));
  EXPECT_THROW(load_run(folder.path().string()), Error);
  EXPECT_THROW(load_run("/nonexistent/x"), Error);
  EXPECT_THROW(load_runs("/nonexistent/x"), Error);
}

TEST(Report, IsOneSafeFile) {
  auto a = make_run("org/<script>alert(1)</script>", 0), b = make_run("org/b", 0.05);
  b.facts.dims = 128;
  a.facts.texts_per_second = 1000;
  b.facts.texts_per_second = 250;
  a.config["note"] = "\"><img src=x>\xff";
  const std::vector<RunResults> runs = {a, b};
  ReportOptions titled;
  titled.title = "A & B";
  const auto html = report_html(runs, titled);
  EXPECT_EQ(html.find("<script>alert"), std::string::npos);
  EXPECT_EQ(html.find("<img"), std::string::npos);
  for (const std::string_view outside : {"http://", "https://", "src=", "@import", "url("}) {
    const size_t at = html.find(outside);
    EXPECT_TRUE(at == std::string::npos || outside == "src=") << outside;
  }
  EXPECT_NE(html.find("A &amp; B"), std::string::npos);
  EXPECT_NE(html.find("Score against length of vector"), std::string::npos);
  EXPECT_NE(html.find("Score against speed"), std::string::npos);
  EXPECT_EQ(html.find("nan"), std::string::npos);
  EXPECT_THROW(report_html({}), Error);
  const auto page = comparison_html(a, b, compare_runs(a, b));
  EXPECT_NE(page.find("Configuration that differs"), std::string::npos);
}

TEST(Report, ShowsPublishedScoresBesideOnes) {
  RunResults run;
  run.model = "potion-base-8M";
  for (const auto& score : published_scores("minishlab/potion-base-8M")) {
    run.tasks.push_back(make_result(std::string(score.task), std::string(score.type), score.score));
  }
  const std::vector<RunResults> runs = {run};
  const auto html = report_html(runs);
  EXPECT_NE(html.find("Agreement with published scores"), std::string::npos);
  EXPECT_NE(html.find("mean difference +0.00"), std::string::npos);
  EXPECT_NE(html.find("all-MiniLM-L6-v2"), std::string::npos);
}

}  // namespace
}  // namespace akin::eval
