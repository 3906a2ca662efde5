// akin eval end to end on the shipped models: result files, datasets in their layouts, resuming
// after a kill, broken datasets.
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
    if (name.find(".config.json") != name.npos || name.find("run_settings.jsonl") != name.npos) {
      continue;  // of the run, not of a task
    }
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

// Runs the command and kills it after a while; the exit code.
int run_and_kill(const std::vector<std::string>& command, std::chrono::duration<double> delay,
                 int signal) {
  Invocation killed{.arguments = command};
  killed.while_running = [&](int child) {
    std::this_thread::sleep_for(delay);
    ::kill(child, signal);
  };
  return run(killed).code;
}

TEST(Eval, KilledAtAnyMomentItResumesToTheSameFiles) {
  const TemporaryFolder folder;
  const auto tasks = write_tasks(folder, 1500);
  const auto command = [&](const std::string& out) {
    auto words = arguments(folder, tasks, out);
    words.insert(words.end(), {"--dims", "0,32"});
    return words;
  };
  const auto start = std::chrono::steady_clock::now();
  const auto whole = run(command("whole"));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(whole.code, 0) << whole.err;
  const auto expected = results(folder.file("whole"));
  EXPECT_GE(expected.size(), 18U);  // result and items of 4 tasks, model_meta; for both lengths
  int killed = 0;
  constexpr int kMoments = 4;
  for (int i = 1; i <= kMoments; ++i) {
    SCOPED_TRACE(i);
    const std::string out = "torn" + std::to_string(i);
    // Twice: at a moment of its own, and on the way from there.
    for (const double part : {1.0 * i / (kMoments + 1), 0.3}) {
      if (run_and_kill(command(out), seconds * part, SIGKILL) == 128 + SIGKILL) ++killed;
      for (const auto& [name, bytes] : results(folder.file(out))) {
        if (name.ends_with(".tmp")) continue;
        ASSERT_EQ(expected.count(name), 1U) << name;
        EXPECT_EQ(bytes, expected.at(name)) << name;  // a file that is there is complete
      }
    }
    const auto last = run(command(out));
    ASSERT_EQ(last.code, 0) << last.err;
    EXPECT_EQ(results(folder.file(out)), expected);
  }
  EXPECT_GE(killed, kMoments / 2);
  run_and_kill(command("stopped"), seconds / 2, SIGINT);
  ASSERT_EQ(run(command("stopped")).code, 0);
  EXPECT_EQ(results(folder.file("stopped")), expected);
}

TEST(Eval, ReadsParquetFromTheHubCache) {
  const TemporaryFolder folder;
  const std::string commit(40, 'c'), repo = "cache/datasets--org--tiny/";
  folder.write(repo + "refs/main", commit + "\n");
  for (const char* file : {"train-00000-of-00001", "test-00000-of-00002", "test-00001-of-00002"}) {
    folder.write(repo + "snapshots/" + commit + "/data/" + file + ".parquet",
                 read("src/store/testdata/polars_zstd.parquet"));
  }
  const std::string common = "dataset = \"org/tiny\"\nlanguages = [\"eng-Latn\"]\n";
  const auto tasks = folder.write(
      "tasks.toml",
      "[[task]]\nname = \"Pairs\"\ntype = \"STS\"\n" + common +
          "columns = { sentence1 = \"translation.en\", sentence2 = \"translation.zh\" }\n"
          "[[task]]\nname = \"Labels\"\ntype = \"Classification\"\n" +
          common + "columns = { text = \"id\" }\n");
  Invocation command{.arguments = {"eval", "--model", kModel, "--tasks-file", tasks, "--out",
                                   folder.file("out"), "--json"}};
  command.environment["HF_HUB_CACHE"] = folder.file("cache");
  const auto result = run(command);
  ASSERT_EQ(result.code, 0) << result.err;
  const fs::path base = json::parse(result.out).at("folder").get<std::string>();
  for (const char* task : {"Pairs", "Labels"}) {
    const auto file = json::parse(read(base / (std::string(task) + ".json")));
    EXPECT_EQ(file.at("dataset_revision"), commit);
    EXPECT_TRUE(file.at("scores").at("test").at(0).at("main_score").is_number());
  }
}

TEST(Eval, SubsetsOfOneFileAreEntriesOfOneResult) {
  const TemporaryFolder folder;
  std::string rows;
  for (int i = 0; i < 40; ++i) {
    const std::string& topic = kTopics[static_cast<size_t>(i) % kTopics.size()];
    rows += json{{"sentence1", topic},
                 {"sentence2", i % 3 == 0 ? topic : "bread"},
                 {"score", i % 3 == 0 ? 4 : i % 2},
                 {"lang", i % 4 == 0 ? "en" : "en-de"}}
                .dump() +
            "\n";
  }
  folder.write("pairs/test.jsonl", rows);
  const auto tasks =
      folder.write("tasks.toml",
                   "[[task]]\nname = \"Crosslingual\"\ntype = \"STS\"\ndataset = \"pairs\"\n"
                   "subsets = [{ name = \"en\", languages = [\"eng-Latn\"] },\n"
                   "  { name = \"en-de\", languages = [\"eng-Latn\", \"deu-Latn\"] }]\n");
  auto command = arguments(folder, tasks, "out");
  command.emplace_back("--json");
  const auto result = run(command);
  ASSERT_EQ(result.code, 0) << result.err;
  const fs::path base = json::parse(result.out).at("folder").get<std::string>();
  const auto entries = json::parse(read(base / "Crosslingual.json")).at("scores").at("test");
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].at("hf_subset"), "en");
  EXPECT_EQ(entries[1].at("hf_subset"), "en-de");
  EXPECT_EQ(entries[1].at("languages"), json({"eng-Latn", "deu-Latn"}));
  EXPECT_NE(entries[0].at("main_score"), entries[1].at("main_score"));
}

// One way in which a dataset may be broken, and what the message must say of it.
struct Broken {
  std::string task;
  std::map<std::string, std::string> files;  // name -> bytes; "-": no such file
  std::vector<std::string> words;            // file and row, what is wrong, what to do
  std::vector<std::string> settings = {};
};

std::vector<Broken> broken_columns() {
  const std::string good = R"({"sentence1":"a","sentence2":"b","score":1})"
                           "\n";
  return {
      {"Pairs",
       {{"sts/test.jsonl", R"({"s1":"a","sentence2":"b","score":1})"}},
       {"sts/test.jsonl:1", "no column named \"sentence1\"", "\"s1\"", "Say which of these it is"}},
      {"Pairs",
       {{"sts/test.jsonl", good + R"({"sentence1":"a","score":0})"}},
       {"sts/test.jsonl:2", "\"sentence2\"", "Repair the row"}},
      {"Pairs",
       {{"sts/test.jsonl", good + R"({"sentence1":"a","sentence2":"b","score":"high"})"}},
       {"sts/test.jsonl:2", "\"score\"", "\"high\"", "Repair the row"}},
      {"Pairs",
       {{"sts/test.jsonl", "-"}, {"sts/test.csv", "sentence1,text,score\na,b,1\n"}},
       {"sts/test.csv:1", "no column named \"sentence2\"", "\"text\"", "Say which of these it is"}},
      {"Search",
       {{"search/qrels/test.tsv", "query-id\tscore\nq0\t1\n"}},
       {"test.tsv:1", "\"corpus-id\"", "Say which of these it is"}},
  };
}

std::vector<Broken> broken_ids() {
  const std::string qrels = "query-id\tcorpus-id\tscore\nq0\td0\t1\n";
  return {
      {"Search",
       {{"search/corpus.jsonl", R"({"_id":"d0","text":"a"})"
                                "\n"
                                R"({"_id":"d1","text":"b"})"
                                "\n"
                                R"({"_id":"d0","text":"c"})"}},
       {"search/corpus.jsonl:3", "\"d0\" is there already", "rename or delete",
        "allow_duplicate_ids"}},
      {"Search",
       {{"search/queries.jsonl", R"({"_id":"q0","text":"a"})"
                                 "\n"
                                 R"({"_id":"q0","text":"b"})"}},
       {"search/queries.jsonl:2", "\"q0\" is there already", "rename or delete"}},
      {"Search",
       {{"search/qrels/test.tsv", qrels + "q5\tnowhere\t1\n"}},
       {"qrels/test.tsv:3", "\"nowhere\"", "complete the corpus, delete the row",
        "allow_unknown_ids"}},
      {"Search",
       {{"search/qrels/test.tsv", qrels + "q999\td1\t1\n"}},
       {"qrels/test.tsv:3", "\"q999\"", "complete the queries", "delete the row"}},
  };
}

std::vector<Broken> empty_splits() {
  return {
      {"Pairs", {{"sts/test.jsonl", ""}}, {"sts/test.jsonl", "is empty", "get it again"}},
      {"Pairs", {{"sts/test.jsonl", "\n \n"}}, {"sts/test.jsonl", "is empty", "get it again"}},
      {"Pairs",
       {{"sts/test.jsonl", "-"}, {"sts/test.csv", "sentence1,sentence2,score\n"}},
       {"sts/test.csv", "no rows for split \"test\"", "complete the file"}},
      {"Pairs",
       {{"sts/test.jsonl", "-"}, {"sts/test.json", "[]"}},
       {"sts/test.json", "no rows for split \"test\"", "complete the file"}},
      {"Topics",
       {{"class/train.jsonl", "-"}},
       {"class", "no file for the train", "default (test)", "files.train"}},
      {"Topics", {{"class/train.jsonl", ""}}, {"class/train.jsonl", "is empty", "get it again"}},
      {"Search",
       {{"search/qrels/test.tsv", "query-id\tcorpus-id\tscore\n"}},
       {"qrels/test.tsv", "no rows for split \"test\"", "complete the file"}},
      {"Search", {{"search/corpus.jsonl", ""}}, {"corpus.jsonl", "is empty", "get it again"}},
  };
}

std::vector<Broken> broken_labels(const std::string& rows) {
  const std::string single = rows + R"({"text":"alone","label":"rare"})"
                                    "\n";
  const std::vector<std::string> words = {"class/test.jsonl:61", "\"rare\" occurs once",
                                          "delete this row, or add another"};
  return {
      {"Topics", {{"class/test.jsonl", single}}, words, {"subsample=40"}},
      {"Topics", {{"class/test.jsonl", single}}, words, {"hold_out=20"}},
      {"Groups", {{"class/test.jsonl", single}}, words, {"subsample=40"}},
      {"Topics",
       {{"class/test.jsonl", R"({"text":"a","label":"x"})"
                             "\n"
                             R"({"text":"b","label":"x"})"}},
       {"class/test.jsonl", "1 different labels", "columns.label"}},
      {"Groups",
       {{"class/test.jsonl", R"({"sentences":["a","b"],"labels":[0]})"}},
       {"class/test.jsonl:1", "one length", "repair the row"}},
  };
}

TEST(Eval, BrokenDatasetsAreNamedByFileRowAndRemedy) {
  std::string rows;
  {
    const TemporaryFolder folder;
    write_tasks(folder, 60);
    rows = read(folder.file("class/test.jsonl"));
  }
  std::vector<Broken> all;
  for (const auto& list : {broken_columns(), broken_ids(), empty_splits(), broken_labels(rows)}) {
    all.insert(all.end(), list.begin(), list.end());
  }
  for (const auto& broken : all) {
    SCOPED_TRACE(broken.task + ": " + broken.words[0] + ", " + broken.words[1]);
    const TemporaryFolder folder;
    const auto tasks = write_tasks(folder, 60);
    for (const auto& [name, bytes] : broken.files) {
      if (bytes == "-") {
        fs::remove(folder.file(name));
      } else {
        folder.write(name, bytes);
      }
    }
    auto command = arguments(folder, tasks, "out");
    command.insert(command.end(), {"--tasks", broken.task});
    for (const auto& setting : broken.settings) command.insert(command.end(), {"--set", setting});
    const auto result = run(command);
    EXPECT_EQ(result.code, 1) << result.err;
    for (const auto& word : broken.words) {
      EXPECT_NE(result.err.find(word), std::string::npos) << word << "\n" << result.err;
    }
    EXPECT_TRUE(results(folder.file("out")).empty());
  }
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

TEST(Eval, ATableWithoutScoresHasNoMeans) {
  const TemporaryFolder folder;
  const auto tasks = write_tasks(folder, 12);
  fs::create_directories(folder.path() / "nothing");
  const auto result = run({"eval", "--model", kModel, "--tasks-file", tasks, "--data",
                           folder.file("nothing"), "--out", folder.file("out")});
  EXPECT_EQ(result.code, 1);
  const size_t means = result.out.find("mean over tasks");
  ASSERT_NE(means, std::string::npos) << result.out;
  EXPECT_EQ(result.out.find("0.00", means), std::string::npos) << result.out;
  EXPECT_EQ(result.out.find("of 4", means), std::string::npos) << result.out;
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
  // Kept in a file, it turns scores of the same model into probabilities.
  const auto file = folder.file("calibration.json");
  ASSERT_EQ(run({"eval", "--model", kModel, "--calibrate", pairs, "--out", file}).code, 0);
  const auto kept = json::parse(read(file));
  for (const char* key : {"model", "fingerprint", "dims", "dtype", "calibrator", "threshold"})
    EXPECT_TRUE(kept.contains(key)) << key;
  EXPECT_EQ(kept.at("threshold"), json::parse(result.out).at("threshold"));
  const auto shown =
      run({"similarity", "--model", kModel, "--calibrated", file, "--json", "--pairs",
           folder.write("two.tsv",
                        "the river again\tthe river again\n"
                        "the river\ta tax report\n")});
  ASSERT_EQ(shown.code, 0) << shown.err;
  const auto same = json::parse(shown.out.substr(0, shown.out.find('\n')));
  const auto other = json::parse(shown.out.substr(shown.out.find('\n') + 1));
  EXPECT_TRUE(same.at("above").get<bool>());
  EXPECT_FALSE(other.at("above").get<bool>());
  EXPECT_GT(same.at("probability").get<double>(), other.at("probability").get<double>());
  const auto line = run({"similarity", "--model", kModel, "--calibrated", file, "x y", "x y"});
  EXPECT_NE(line.out.find("\tabove\n"), std::string::npos) << line.out;
  // What it was not fitted for is refused.
  const auto refuse = [&](std::vector<std::string> more, std::string_view words) {
    std::vector<std::string> all = {"similarity", "--calibrated", file, "a", "b"};
    all.insert(all.end(), more.begin(), more.end());
    const auto refused = run(all);
    EXPECT_EQ(refused.code, 2) << words;
    EXPECT_NE(refused.err.find(words), std::string::npos) << refused.err;
  };
  refuse({"--model", "models/static-zh-200"}, "scores of two models do not compare");
  refuse({"--model", kModel, "--dims", "32"}, "dims");
  refuse({"--model", kModel, "--measure", "dot"}, "--measure");
  const auto torn = run({"similarity", "--model", kModel, "--calibrated", pairs, "a", "b"});
  EXPECT_EQ(torn.code, 1);
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
