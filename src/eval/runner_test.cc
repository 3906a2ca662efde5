// Runs of several tasks: results kept and read again, tasks without data, means over subtasks.
#include "eval/runner.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "eval/benchmarks.h"
#include "eval/test_task.h"

namespace akin::eval {
namespace {

namespace fs = std::filesystem;

const std::string kSts = "type = \"STS\"\ndataset = \"set\"\n";

class RunnerTest : public TaskTest {
 protected:
  RunnerTest() {
    options_.data = folder_;
    options_.out = folder_ / "out";
    options_.model_name = "test/words";
  }
  std::vector<TaskRun> run(const std::vector<TaskSpec>& tasks) {
    CachedEncoder encoder(encoder_, nullptr);
    return Runner({{&encoder, "f32"}}, options_, pool_).run(tasks, {});
  }
  void write_pairs() const {
    write("test.jsonl",
          "{\"sentence1\":\"a b\",\"sentence2\":\"a b\",\"score\":5}\n"
          "{\"sentence1\":\"a b\",\"sentence2\":\"a c\",\"score\":3}\n"
          "{\"sentence1\":\"a b\",\"sentence2\":\"d e\",\"score\":0}\n");
  }
  // A collection of four documents, where the right one is at rank `rank` (1 to 4).
  void write_collection(const std::string& name, int rank) const {
    const std::string texts[] = {"a", "a b", "a b c", "d"};
    std::string corpus;
    for (int i = 0; i < 4; ++i)
      corpus += fmt::format("{{\"_id\":\"d{}\",\"text\":\"{}\"}}\n", i + 1, texts[i]);
    write("../" + name + "/corpus.jsonl", corpus);
    write("../" + name + "/queries.jsonl", "{\"_id\":\"q\",\"text\":\"a\"}\n");
    write("../" + name + "/qrels/test.tsv",
          fmt::format("query-id\tcorpus-id\tscore\nq\td{}\t1\n", rank));
  }
  RunOptions options_;
};

TEST_F(RunnerTest, ResumesToTheSameFiles) {
  write_pairs();
  const std::vector<TaskSpec> tasks = {spec_of(kSts)};
  options_.dims = {8, 4};
  const auto first = run(tasks);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_FALSE(first[0].resumed);
  EXPECT_EQ(first[1].experiment, "dims-4");
  const auto again = run(tasks);
  EXPECT_TRUE(again[0].resumed && again[1].resumed);
  EXPECT_EQ(again[0].score, first[0].score);
  // Which akin wrote it is said, and does not matter.
  auto result = store::read_task_result(first[0].path);
  EXPECT_EQ(result.extra.at("akin").at("version"), AKIN_VERSION);
  for (const char* version : {"0.0.1", ""}) {
    result.extra["akin"]["version"] = version;
    if (*version == '\0') result.extra["akin"].erase("version");  // as older files have none
    store::write_task_result(first[0].path, result);
    EXPECT_TRUE(run(tasks)[0].resumed) << version;
  }
  std::vector<TaskSpec> changed = tasks;
  changed[0].main_score = "cosine_pearson";
  EXPECT_FALSE(run(changed)[0].resumed);
  std::ofstream(first[0].path) << "{";  // torn: computed again
  EXPECT_FALSE(run(tasks)[0].resumed);
}

TEST_F(RunnerTest, SaysWhatTheModelWasTrainedOn) {
  write_pairs();
  options_.training_datasets = {"org/pairs", "org/more"};
  const auto runs = run({spec_of(kSts)});
  const auto meta = store::read_model_meta(runs[0].path.parent_path() / "model_meta.json");
  EXPECT_EQ(meta.all.at("training_datasets"), nlohmann::ordered_json({"org/pairs", "org/more"}));
}

TEST_F(RunnerTest, OtherRowsAreNotTheResultOnFile) {
  write_pairs();
  const std::vector<TaskSpec> tasks = {spec_of(kSts)};
  const auto first = run(tasks);
  EXPECT_TRUE(run(tasks)[0].resumed);
  write("test.jsonl",
        "{\"sentence1\":\"a b\",\"sentence2\":\"a b\",\"score\":0}\n"
        "{\"sentence1\":\"a b\",\"sentence2\":\"a c\",\"score\":3}\n"
        "{\"sentence1\":\"a b\",\"sentence2\":\"d e\",\"score\":5}\n");
  const auto changed = run(tasks);
  EXPECT_FALSE(changed[0].resumed);
  EXPECT_NE(changed[0].score, first[0].score);
  EXPECT_TRUE(run(tasks)[0].resumed);
  options_.data = folder_ / "nowhere";  // nothing there contradicts the result
  EXPECT_TRUE(run(tasks)[0].resumed);
}

TEST_F(RunnerTest, SplitsHaveAnIntervalTogether) {
  std::string easy, hard;
  for (int i = 0; i < 20; ++i) {
    const std::string row = "{{\"sentence1\":\"a b\",\"sentence2\":\"{}\",\"score\":{}}}\n";
    easy += fmt::format(fmt::runtime(row), i % 2 == 0 ? "a b" : "d e", i % 2 == 0 ? 5 : 0);
    hard += fmt::format(fmt::runtime(row), i % 2 == 0 ? "a b" : "d e", i % 3);
  }
  write("test.jsonl", easy);
  write("dev.jsonl", hard);
  TaskSpec spec = spec_of(kSts);
  spec.splits = {"test", "dev"};
  const auto runs = run({spec});
  ASSERT_TRUE(runs[0].score && runs[0].interval) << runs[0].error;
  EXPECT_NEAR(runs[0].interval->value, *runs[0].score, 1e-6);
  EXPECT_LT(runs[0].interval->low, *runs[0].score);
  EXPECT_GT(runs[0].interval->high, *runs[0].score);
}

TEST_F(RunnerTest, AScoreThatIsNoNumberIsAnError) {
  write("test.jsonl",
        "{\"sentence1\":\"a\",\"sentence2\":\"a\",\"score\":5}\n"
        "{\"sentence1\":\"a\",\"sentence2\":\"a\",\"score\":3}\n");
  const auto runs = run({spec_of(kSts)});
  EXPECT_FALSE(runs[0].score);
  expect_words(runs[0].error, {"cosine_spearman", "\"test\"", "not a number"});
  EXPECT_FALSE(fs::exists(runs[0].path));
}

TEST_F(RunnerTest, GoesOnAfterATaskWithoutData) {
  write_pairs();
  std::vector<TaskSpec> tasks = {spec_of("type = \"STS\"\ndataset = \"absent\"\n"), spec_of(kSts)};
  tasks[0].name = "Absent";
  const auto runs = run(tasks);
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_FALSE(runs[0].score);
  expect_words(runs[0].error, {"absent"});
  EXPECT_TRUE(runs[1].score);
}

TEST_F(RunnerTest, RemovesWhatAKilledRunLeftHalfWritten) {
  write_pairs();
  const std::vector<TaskSpec> tasks = {spec_of(kSts)};
  const fs::path folder = run(tasks)[0].path.parent_path();
  fs::remove(folder / "T.json");
  // No process has the greatest number; the one that started the test lives.
  const std::string living = "T.json." + std::to_string(::getppid()) + ".tmp";
  const std::vector<std::string> dead = {"T.json.2147483647.tmp", "model_meta.json.2147483647.tmp",
                                         "items/T.jsonl.2147483647.tmp"};
  const std::vector<std::string> others = {living, "T.json.x.tmp", "Other.json.2147483647.tmp"};
  for (const auto& name : dead) std::ofstream(folder / name) << "{";
  for (const auto& name : others) std::ofstream(folder / name) << "{";
  EXPECT_FALSE(run(tasks)[0].resumed);
  for (const auto& name : dead) EXPECT_FALSE(fs::exists(folder / name)) << name;
  for (const auto& name : others) EXPECT_TRUE(fs::exists(folder / name)) << name;
}

// Ranks 1 to 3 for four of the twelve forums each: ndcg 1, 1 / log2(3), 1 / log2(4).
TEST_F(RunnerTest, CqaDupstackIsTheMeanOfItsTwelveForums) {
  const TaskSpec whole = builtin_task("CQADupstackRetrieval");
  ASSERT_EQ(whole.subtasks.size(), 12U);
  int number = 0;
  std::string last;
  for (const auto& name : whole.subtasks) {
    const std::string dataset = builtin_task(name).dataset;
    last = dataset.substr(dataset.find('/') + 1);
    write_collection(last, 1 + number++ % 3);
  }
  const auto runs = run({whole});
  ASSERT_EQ(runs.size(), 1U);
  ASSERT_TRUE(runs[0].score) << runs[0].error;
  EXPECT_NEAR(*runs[0].score, (1 + 0.63093 + 0.5) / 3, 1e-6);
  const auto result = store::read_task_result(runs[0].path);
  ASSERT_EQ(result.scores.size(), 1U);
  const auto& entry = result.scores[0].entries.at(0);
  EXPECT_EQ(entry.at("main_score"), entry.at("ndcg_at_10"));
  EXPECT_NEAR(entry.at("recall_at_1").get<double>(), 1.0 / 3, 1e-5);
  for (const auto& name : whole.subtasks) {
    EXPECT_TRUE(fs::exists(runs[0].path.parent_path() / (name + ".json"))) << name;
  }
  EXPECT_TRUE(run({whole})[0].resumed);

  // A setting of the mean holds for its parts.
  write("../" + last + "/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq\td3\t1\nq\tgone\t1\n");
  options_.out = folder_ / "third";
  expect_words(run({whole})[0].error, {"CQADupstackWordpressRetrieval", "test.tsv:3", "gone"});
  TaskSpec lenient = whole;
  lenient.allow_unknown_ids = true;
  EXPECT_TRUE(run({lenient})[0].score);

  // One forum less is no score, and the forum is named.
  fs::remove_all(folder_ / last);
  options_.out = folder_ / "other";
  const auto partial = run({whole});
  EXPECT_FALSE(partial[0].score);
  expect_words(partial[0].error, {"CQADupstackWordpressRetrieval", last.c_str()});
}

TEST_F(RunnerTest, AMeanOfTasksOfOnesOwn) {
  write_collection("one", 1);
  write_collection("two", 3);
  std::vector<TaskSpec> tasks = parse_task_file(
      "[[task]]\nname = \"One\"\ntype = \"Retrieval\"\ndataset = \"one\"\n"
      "[[task]]\nname = \"Two\"\ntype = \"Retrieval\"\ndataset = \"two\"\n"
      "[[task]]\nname = \"Both\"\ntype = \"Retrieval\"\nsubtasks = [\"One\", \"Two\"]\n",
      "tasks.toml");
  auto runs = run(tasks);
  ASSERT_TRUE(runs[2].score) << runs[2].error;
  EXPECT_NEAR(*runs[2].score, 0.75, 1e-12);
  // Parts need not be run themselves, and each counts once however many splits it has.
  options_.declared = {tasks[0], tasks[1]};
  options_.declared[1].splits = {"test", "dev"};
  write("../two/qrels/dev.tsv", "query-id\tcorpus-id\tscore\nq\td3\t1\n");
  options_.out = folder_ / "declared";
  const auto alone = run({tasks[2]});
  ASSERT_TRUE(alone[0].score) << alone[0].error;
  EXPECT_NEAR(*alone[0].score, 0.75, 1e-6);
  options_.declared.clear();
  options_.out = folder_ / "out";
  // A part that is defined in another way makes another mean.
  tasks[0].ignore_identical_ids = true;
  EXPECT_FALSE(run(tasks)[2].resumed);
  EXPECT_TRUE(run(tasks)[2].resumed);
  tasks[2].subtasks = {"One", "Both"};
  expect_words(run(tasks)[2].error, {"Both", "subtasks itself"});
  tasks[2].subtasks = {"One", "Three"};
  expect_words(run(tasks)[2].error, {"Three", "not a built-in task"});
}

}  // namespace
}  // namespace akin::eval
