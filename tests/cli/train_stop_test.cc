// akin train, stopped and taken up: whatever ended a run, --resume ends in the same bytes or says
// why it cannot.
#ifdef AKIN_WITH_TRAIN

#include <signal.h>

#include "train_data.h"

namespace akin::cli_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string model_bytes(const TemporaryFolder& folder, const std::string& out) {
  return read(folder.path() / out / "model" / "model.safetensors");
}

std::vector<std::string> with(std::vector<std::string> words,
                              const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// A static run whose learning rate destroys what the evaluation before the first step measures: the
// best weights are not the last.
void write_evaluated(const TemporaryFolder& folder) {
  write_data(folder);
  std::string rows;
  for (size_t i = 0; i < 60; ++i) {
    const std::string& thing = kThings[i % kThings.size()];
    const std::string& other = kThings[(i + i % 3) % kThings.size()];
    rows += json{{"sentence1", "the " + thing + " waits"},
                 {"sentence2", "a " + other + " that waits"},
                 {"score", i % 3 == 0 ? 5.0 : 0.1 * static_cast<double>(i % 7)}}
                .dump() +
            "\n";
  }
  folder.write("sts/test.jsonl", rows);
  folder.write("tasks.toml",
               "[[task]]\nname = \"Dev\"\ntype = \"STS\"\ndataset = \"sts\"\n"
               "languages = [\"eng-Latn\"]\n");
  folder.write("first.toml", kStatic);
  const auto first = run(command(folder, "first.toml", "first"));
  ASSERT_EQ(first.code, 0) << first.err;
  folder.write("recipe.toml",
               "[model]\nopen = \"" + folder.file("first/model") +
                   "\"\n[train]\nsteps = 20\nbatch = 32\nlearning_rate = 10\nthreads = 2\n"
                   "checkpoint_every = 5\nlog_every = 5\n[evaluate]\ntasks_file = \"" +
                   folder.file("tasks.toml") +
                   "\"\ntasks = [\"Dev\"]\nevery = 5\n[ewc]\nestimate = 400\n"
                   "[[source]]\npath = \"pairs.jsonl\"\n");
}

TEST(TrainStop, KilledWhileItKeepsTheResultItKeepsTheBest) {
  const TemporaryFolder folder;
  write_evaluated(folder);
  const auto whole = run(with(command(folder, "recipe.toml", "whole"), {"--json"}));
  ASSERT_EQ(whole.code, 0) << whole.err;
  ASSERT_LT(json::parse(whole.out).at("best_step"), 20);
  const std::string expected = model_bytes(folder, "whole"),
                    importance = read(folder.path() / "whole" / "fisher.safetensors");
  ASSERT_FALSE(importance.empty());
  // As soon as the model has its name; and once the importance is there, which comes before.
  for (const char* moment : {"model", "fisher.safetensors"}) {
    const std::string out = std::string("torn_") + moment;
    const auto words = with(command(folder, "recipe.toml", out), {"--resume"});
    run({.arguments = words, .while_running = [&](int child) {
           for (int i = 0; i < 20000 && !fs::exists(folder.path() / out / moment); ++i)
             ::usleep(500);
           ::kill(child, SIGKILL);
         }});
    const auto resumed = run(words);
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    EXPECT_EQ(model_bytes(folder, out), expected) << moment;
    EXPECT_EQ(read(folder.path() / out / "fisher.safetensors"), importance) << moment;
    EXPECT_TRUE(fs::exists(folder.path() / out / "model" / "README.md")) << moment;
    EXPECT_FALSE(fs::exists(folder.path() / out / "best")) << moment;
  }
}

TEST(TrainStop, AnInterruptionSaysWhatIsKeptAndAnEvaluationIsLoggedOnce) {
  const TemporaryFolder folder;
  write_evaluated(folder);
  const auto words =
      with(command(folder, "recipe.toml", "run"),
           {"--resume", "--set", "train.learning_rate=0.001", "--set", "train.steps=3000"});
  const auto log = folder.path() / "run" / "log.jsonl";
  const auto stopped = run({.arguments = words, .while_running = [&](int child) {
                              for (int i = 0; i < 20000; ++i) {
                                if (read(log).find("\"step\":25") != std::string::npos) break;
                                ::usleep(500);
                              }
                              ::kill(child, SIGINT);
                            }});
  ASSERT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_NE(stopped.err.find("holds no checkpoint to go on from: a new run starts"),
            std::string::npos)
      << stopped.err;
  EXPECT_NE(stopped.err.find("--resume goes on from it"), std::string::npos) << stopped.err;
  // The checkpoint on the way is written before the evaluation of its step: killed behind both, the
  // resumed run evaluates again.
  const auto killed = run({.arguments = words, .while_running = [&](int child) {
                             const size_t lines = read(log).size();
                             for (int i = 0; i < 20000 && read(log).size() < lines + 2000; ++i)
                               ::usleep(500);
                             ::kill(child, SIGKILL);
                           }});
  ASSERT_EQ(killed.code, 128 + SIGKILL) << killed.err;
  run({.arguments = words, .while_running = [&](int child) {
         const size_t lines = read(log).size();
         for (int i = 0; i < 20000 && read(log).size() < lines + 1000; ++i) ::usleep(500);
         ::kill(child, SIGKILL);
       }});
  std::istringstream in(read(log));
  std::map<uint64_t, int> evaluations;
  for (std::string line; std::getline(in, line);) {
    const json value = json::parse(line, nullptr, false);
    if (value.is_object() && value.contains("scores")) ++evaluations[value.at("step")];
  }
  EXPECT_GT(evaluations.size(), 5U);
  for (const auto& [step, count] : evaluations) EXPECT_EQ(count, 1) << step;
}

TEST(TrainStop, TwoRunsInOneFolderAreRefused) {
  const TemporaryFolder folder;
  write_data(folder);
  folder.write("recipe.toml", kStatic);
  const auto words = with(command(folder, "recipe.toml", "run"),
                          {"--set", "train.steps=20000", "--set", "train.checkpoint_every=0"});
  Result second;
  run({.arguments = words, .while_running = [&](int child) {
         const auto log = folder.path() / "run" / "log.jsonl";
         for (int i = 0; i < 20000 && !fs::exists(log); ++i) ::usleep(500);
         second = run(with(words, {"--resume"}));
         ::kill(child, SIGKILL);
       }});
  EXPECT_EQ(second.code, 2);
  EXPECT_NE(second.err.find("is training here"), std::string::npos) << second.err;
  // The lock went with the process.
  const auto after = run(with(words, {"--resume", "--set", "train.steps=3"}));
  EXPECT_EQ(after.code, 0) << after.err;
}

TEST(TrainStop, WhatDecidesWeightsStaysTheSame) {
  const TemporaryFolder folder;
  write_data(folder);
  std::string recipe = kTransformer;
  recipe = recipe.substr(0, recipe.find("[[source]]")) +
           "[adapters]\nnames = [\"q\"]\n[[source]]\npath = \"pairs.jsonl\"\ntask = \"q\"\n";
  folder.write("recipe.toml", recipe);
  const auto words = with(command(folder, "recipe.toml", "run"),
                          {"--resume", "--set", "train.ema=0", "--set", "train.steps=2"});
  const auto set = [&](const std::vector<std::string>& settings) {
    auto more = words;
    for (const auto& setting : settings) more.insert(more.end(), {"--set", setting});
    return run(more);
  };
  const auto first = set({"save.prompts=q=to find: "});
  ASSERT_EQ(first.code, 0) << first.err;
  // Texts of a task are trained with the prompt of that name.
  const auto other = set({"save.prompts=q=another: "});
  EXPECT_EQ(other.code, 2);
  EXPECT_NE(other.err.find("save.prompts"), std::string::npos) << other.err;
  // Threads are what they come to, however the recipe says it.
  const auto threads = set({"save.prompts=q=to find: ", "train.threads=3"});
  EXPECT_EQ(threads.code, 2);
  EXPECT_NE(threads.err.find("made with 2 threads, this run has 3"), std::string::npos)
      << threads.err;
}

TEST(TrainStop, WhatWouldFailAfterTheLastStepFailsBeforeTheFirst) {
  const TemporaryFolder folder;
  write_data(folder);
  folder.write("recipe.toml", kStatic);
  const auto refused = [&](const std::string& out, const std::vector<std::string>& more,
                           const std::string& words) {
    const auto result = run(with(command(folder, "recipe.toml", out), more));
    EXPECT_EQ(result.code, 2);
    EXPECT_NE(result.err.find(words), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find("step "), std::string::npos) << result.err;
  };
  refused("a", {"--set", "save.prompts=query"}, "is not NAME=TEXT");
  refused("b", {"--set", "save.default_prompt=query"}, "save.default_prompt");
  refused("c", {"--set", "matryoshka.dims=99"}, "the model has 16 dims");
  folder.write("d/model/precious.txt", "mine");
  refused("d", {}, "exists and is not a model folder that akin wrote");
  EXPECT_EQ(read(folder.path() / "d/model/precious.txt"), "mine");
  ASSERT_EQ(run(command(folder, "recipe.toml", "e")).code, 0);
  fs::remove(folder.path() / "e" / "checkpoint.safetensors");
  refused("e", {}, "holds a model, but no checkpoint");
}

// Only the new name is looked for: a folder that a killed save left goes.
TEST(TrainStop, FoldersOfKilledSavesGo) {
  const TemporaryFolder folder;
  write_data(folder);
  folder.write("recipe.toml", kStatic);
  folder.write("run/best.2147483647.tmp/config.json", "{");
  ASSERT_EQ(run(command(folder, "recipe.toml", "run")).code, 0);
  EXPECT_FALSE(fs::exists(folder.path() / "run" / "best.2147483647.tmp"));
}

// Source names that leave the same file name have records of their own.
TEST(TrainStop, SourcesOfAnyNameKeepTheirRecords) {
  const TemporaryFolder folder;
  write_data(folder);
  std::string recipe = kStatic;
  recipe = recipe.substr(0, recipe.find("[[source]]")) +
           "[[source]]\nname = \"问答\"\npath = \"pairs.jsonl\"\n"
           "[[source]]\nname = \"新闻\"\npath = \"triplets.jsonl\"\n";
  folder.write("recipe.toml", recipe);
  ASSERT_EQ(run(command(folder, "recipe.toml", "run")).code, 0);
  size_t stores = 0;
  for (const auto& entry : fs::directory_iterator(folder.path() / "run" / "data"))
    stores += static_cast<size_t>(entry.path().extension() == ".records");
  EXPECT_EQ(stores, 2U);
}

TEST(TrainStop, ANumberThatIsNotFiniteSaysWhatStays) {
  const TemporaryFolder folder;
  write_data(folder);
  folder.write("recipe.toml", kTransformer);
  const auto result = run(
      with(command(folder, "recipe.toml", "run"),
           {"--set", "train.learning_rate=1000", "--set", "train.clip=0", "--set", "train.warmup=0",
            "--set", "train.steps=200", "--set", "train.checkpoint_every=1"}));
  if (result.code == 0) GTEST_SKIP() << "this machine's sums stayed finite";
  EXPECT_NE(result.err.find("start anew with another --out"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("--change-rate"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace akin::cli_test

#endif
