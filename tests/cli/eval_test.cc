// akin eval end to end on the shipped models: result files, resuming after a kill, errors.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "run_program.h"

namespace akin::cli_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::vector<std::string> kTopics = {"music", "river", "engine", "garden", "market", "winter"};

// Four small datasets and the tasks on them.
std::string write_tasks(const TemporaryFolder& folder, int rows) {
  std::string sts, rows_of_class, corpus, queries, qrels = "query-id\tcorpus-id\tscore\n";
  for (int i = 0; i < rows; ++i) {
    const std::string& topic = kTopics[static_cast<size_t>(i) % kTopics.size()];
    const std::string& other = kTopics[static_cast<size_t>(i / 6) % kTopics.size()];
    const std::string number = std::to_string(i);
    const std::string text = topic + " story number " + number;
    sts += json{{"sentence1", text},
                {"sentence2", other + " tale " + number},
                {"score", topic == other ? 5 : i % 3}}
               .dump() +
           "\n";
    rows_of_class += json{{"text", text}, {"label", topic}}.dump() + "\n";
    corpus +=
        json{{"_id", "d" + number}, {"title", topic}, {"text", "about " + number}}.dump() + "\n";
    if (i % 5 != 0) continue;
    queries += json{{"_id", "q" + number}, {"text", "what of the " + text}}.dump() + "\n";
    qrels += "q" + number + "\td" + number + "\t1\n";
  }
  folder.write("sts/test.jsonl", sts);
  folder.write("class/test.jsonl", rows_of_class);
  folder.write("class/train.jsonl", rows_of_class);
  folder.write("search/corpus.jsonl", corpus);
  folder.write("search/queries.jsonl", queries);
  folder.write("search/qrels/test.tsv", qrels);
  const std::string languages = "languages = [\"eng-Latn\"]\n";
  return folder.write(
      "tasks.toml",
      "[[task]]\nname = \"Pairs\"\ntype = \"STS\"\ndataset = \"sts\"\n" + languages +
          "[[task]]\nname = \"Topics\"\ntype = \"Classification\"\ndataset = \"class\"\n" +
          languages + "[[task]]\nname = \"Groups\"\ntype = \"Clustering\"\ndataset = \"class\"\n" +
          "max_fraction = 0\nmax_documents = 512\n" + languages +
          "[[task]]\nname = \"Search\"\ntype = \"Retrieval\"\ndataset = \"search\"\n" + languages);
}

std::vector<std::string> arguments(const TemporaryFolder& folder, const std::string& tasks,
                                   const std::string& out) {
  return {"eval",  "--model",       kModel, "--tasks-file", tasks, "--data", folder.path().string(),
          "--out", folder.file(out)};
}

// Every result file below a folder, without times and dates.
std::map<std::string, std::string> results(const fs::path& out) {
  std::map<std::string, std::string> files;
  if (!fs::exists(out / "results")) return files;
  for (const auto& entry : fs::recursive_directory_iterator(out / "results")) {
    if (!entry.is_regular_file()) continue;
    const std::string name = fs::relative(entry.path(), out).string();
    if (name.ends_with(".config.json") || name.ends_with("run_settings.jsonl")) continue;
    std::istringstream lines(read(entry.path()));
    std::string line, kept;
    while (std::getline(lines, line)) {
      const bool varies =
          line.find("\"evaluation_time\"") != line.npos || line.find("\"date\"") != line.npos;
      if (!varies) kept += line + "\n";
    }
    files[name] = kept;
  }
  return files;
}

TEST(Eval, WritesResultsInMtebsForm) {
  const TemporaryFolder folder;
  const auto tasks = write_tasks(folder, 60);
  auto command = arguments(folder, tasks, "out");
  command.insert(command.end(), {"--dims", "0,32", "--dtype", "f32,int8", "--json"});
  const auto result = run(command);
  ASSERT_EQ(result.code, 0) << result.err;
  const auto shown = json::parse(result.out);
  EXPECT_EQ(shown.at("results").size(), 16U);
  const fs::path base = shown.at("folder").get<std::string>();
  std::string text = read(base / "Search.json");  // NaN as Python writes it
  for (size_t at = text.find(": NaN"); at != text.npos; at = text.find(": NaN", at)) {
    text.replace(at, 5, ": null");
  }
  const auto file = json::parse(text);
  const auto& entry = file.at("scores").at("test").at(0);
  EXPECT_EQ(entry.at("main_score"), entry.at("ndcg_at_10"));
  EXPECT_EQ(entry.at("hf_subset"), "default");
  EXPECT_EQ(entry.at("languages").at(0), "eng-Latn");
  EXPECT_EQ(file.at("task_name"), "Search");
  for (const char* experiment : {"dims-32", "int8", "int8-dims-32"}) {
    EXPECT_TRUE(fs::exists(base / "experiments" / experiment / "Pairs.json")) << experiment;
  }
  const auto again = run(command);
  for (const auto& row : json::parse(again.out).at("results")) EXPECT_TRUE(row.at("resumed"));
}

TEST(Eval, CacheOrNotThreadsOrNotTheScoresAreTheSame) {
  const TemporaryFolder folder;
  const auto tasks = write_tasks(folder, 60);
  auto one = arguments(folder, tasks, "one"), two = arguments(folder, tasks, "two");
  one.insert(one.end(), {"--no-cache", "--threads", "1"});
  two.insert(two.end(), {"--threads", "2"});
  ASSERT_EQ(run(one).code, 0);
  ASSERT_EQ(run(two).code, 0);
  EXPECT_EQ(results(folder.file("one")), results(folder.file("two")));
  EXPECT_FALSE(fs::exists(folder.path() / "one" / "cache"));
}

TEST(Eval, KilledAtAnyMomentItResumesToTheSameFiles) {
  const TemporaryFolder folder;
  const auto tasks = write_tasks(folder, 3000);
  const auto whole = run(arguments(folder, tasks, "whole"));
  ASSERT_EQ(whole.code, 0) << whole.err;
  const auto expected = results(folder.file("whole"));
  EXPECT_GE(expected.size(), 8U);
  int killed = 0;
  for (int delay = 20; delay < 2000; delay = delay * 3 / 2) {
    Invocation command{.arguments = arguments(folder, tasks, "torn")};
    command.while_running = [delay](int child) {
      std::this_thread::sleep_for(std::chrono::milliseconds(delay));
      ::kill(child, delay % 2 == 0 ? SIGKILL : SIGINT);
    };
    if (run(command).code != 0) ++killed;
  }
  EXPECT_GT(killed, 0);
  const auto last = run(arguments(folder, tasks, "torn"));
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(results(folder.file("torn")), expected);
}

TEST(Eval, ABrokenTaskIsNamedAndTheOthersRun) {
  const TemporaryFolder folder;
  const auto tasks = write_tasks(folder, 60);
  folder.write("search/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq0\tnowhere\t1\n");
  const auto result = run(arguments(folder, tasks, "out"));
  EXPECT_EQ(result.code, 1);
  for (const char* word : {"test.tsv:2", "nowhere", "allow_unknown_ids"}) {
    EXPECT_NE(result.err.find(word), std::string::npos) << word << "\n" << result.err;
  }
  EXPECT_NE(result.out.find("(3 of 4)"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("Topics"), std::string::npos);
}

TEST(Eval, UsageErrors) {
  const TemporaryFolder folder;
  const auto tasks = write_tasks(folder, 12);
  EXPECT_EQ(run({"eval", "--model", kModel}).code, 2);
  const auto near = run({"eval", "--model", kModel, "--tasks", "STSBenchmrk"});
  EXPECT_EQ(near.code, 2);
  EXPECT_NE(near.err.find("STSBenchmark"), std::string::npos) << near.err;
  EXPECT_EQ(run({"eval", "--model", kModel, "--benchmark", "MTEB(xyz)"}).code, 2);
  auto dims = arguments(folder, tasks, "out");
  dims.insert(dims.end(), {"--dims", "4096"});
  EXPECT_EQ(run(dims).code, 2);
  auto set = arguments(folder, tasks, "out");
  set.insert(set.end(), {"--set", "bogus=1"});
  EXPECT_EQ(run(set).code, 2);
}

TEST(Eval, ListAndDryRunEmbedNothing) {
  const auto list = run({"eval", "--list", "--benchmark", "MTEB(cmn, v1)"});
  ASSERT_EQ(list.code, 0) << list.err;
  EXPECT_NE(list.out.find("MultilingualSentiment"), std::string::npos);
  EXPECT_EQ(std::count(list.out.begin(), list.out.end(), '\n'), 32);
  const TemporaryFolder folder;
  const auto tasks = write_tasks(folder, 12);
  auto dry = arguments(folder, tasks, "out");
  dry.emplace_back("--dry-run");
  EXPECT_EQ(run(dry).code, 0);
  EXPECT_FALSE(fs::exists(folder.path() / "out"));
}

TEST(Eval, CalibratesOnLabelledPairs) {
  const TemporaryFolder folder;
  std::string rows = "sentence1\tsentence2\tlabel\n";
  for (int i = 0; i < 60; ++i) {
    const std::string& topic = kTopics[static_cast<size_t>(i) % kTopics.size()];
    const std::string& other = kTopics[static_cast<size_t>(i + 1) % kTopics.size()];
    rows += "the " + topic + " of " + std::to_string(i) + "\tthe " + (i % 2 == 0 ? topic : other) +
            " again\t" + (i % 2 == 0 ? "1" : "0") + "\n";
  }
  const auto pairs = folder.write("pairs.tsv", rows);
  const auto result = run({"eval", "--model", kModel, "--calibrate", pairs, "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_FALSE(json::parse(result.out).empty());
  const auto bad = run({"eval", "--model", kModel, "--calibrate",
                        folder.write("bad.tsv", "sentence1\tsentence2\tlabel\na\tb\t2\n")});
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.err.find("bad.tsv:2"), std::string::npos) << bad.err;
}

TEST(Eval, ReportIsOneFile) {
  const TemporaryFolder folder;
  const auto tasks = write_tasks(folder, 60);
  auto command = arguments(folder, tasks, "out");
  command.insert(command.end(), {"--report", folder.file("report.html")});
  ASSERT_EQ(run(command).code, 0);
  const auto html = read(folder.file("report.html"));
  EXPECT_NE(html.find("Topics"), std::string::npos);
  EXPECT_EQ(html.find("src=\"http"), std::string::npos);
}

}  // namespace
}  // namespace akin::cli_test
