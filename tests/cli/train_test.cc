// akin train end to end: a vocabulary, a recipe, a model folder; runs that were killed end in the
// same bytes as one that was not; bad input is named.
#ifdef AKIN_WITH_TRAIN

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

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

const std::vector<std::string> kThings = {"river",  "engine", "garden", "market", "winter",
                                          "violin", "planet", "bridge", "window", "forest"};
const std::vector<std::string> kDeeds = {"grows", "sleeps", "waits", "moves", "sings"};

// Pairs that share a thing; triplets whose negative has another; grades; a vocabulary of it all.
void write_data(const TemporaryFolder& folder) {
  std::string pairs, triplets, graded, texts;
  for (size_t i = 0; i < 400; ++i) {
    const std::string& thing = kThings[i % kThings.size()];
    const std::string& other = kThings[(i + 1 + i / 10 % 8) % kThings.size()];
    const std::string& deed = kDeeds[i / 10 % kDeeds.size()];
    const std::string query = "the " + thing + " " + deed + " " + std::to_string(i);
    const std::string positive = "a " + thing + " that " + deed + " " + std::to_string(i);
    const std::string negative = "a " + other + " that " + deed;
    pairs += json{{"query", query}, {"positive", positive}}.dump() + "\n";
    triplets +=
        json{{"query", query}, {"positive", positive}, {"negatives", {negative}}}.dump() + "\n";
    graded += json{{"query", query},
                   {"positive", i % 2 == 0 ? positive : negative},
                   {"label", i % 2 == 0 ? 1.0 : 0.1 * static_cast<double>(i % 5)}}
                  .dump() +
              "\n";
    texts += query + "\n" + positive + "\n";
  }
  folder.write("pairs.jsonl", pairs);
  folder.write("triplets.jsonl", triplets);
  folder.write("graded.jsonl", graded);
  folder.write("texts.txt", texts);
  const auto made = run({"tokenizer", "train", "--type", "wordpiece", "--vocab-size", "300",
                         "--out", folder.file("vocab"), folder.file("texts.txt")});
  ASSERT_EQ(made.code, 0) << made.err;
}

constexpr const char* kTransformer = R"(
[model]
tokenizer = "vocab"
layers = 2
hidden = 32
heads = 2
ffn_hidden = 64
max_tokens = 32
[train]
steps = 40
batch = 16
learning_rate = 1e-3
log_every = 5
checkpoint_every = 4
threads = 2
grad_cache = 24
ema = 0.9
[loss]
name = "infonce"
[matryoshka]
dims = [32, 16]
[[source]]
path = "pairs.jsonl"
[[source]]
path = "triplets.jsonl"
negatives = 1
loss = "jina_triplet"
[[source]]
path = "graded.jsonl"
loss = "cosent"
distinct = false
[[source]]
name = "alone"
path = "texts.txt"
single = true
loss = "simcse_unsup"
)";

std::vector<std::string> command(const TemporaryFolder& folder, const std::string& recipe,
                                 const std::string& out) {
  return {"train", folder.file(recipe), "--data", folder.path().string(),
          "--out", folder.file(out)};
}

TEST(Train, MakesAModelThatOpens) {
  const TemporaryFolder folder;
  write_data(folder);
  folder.write("recipe.toml", kTransformer);
  const auto trained = run(command(folder, "recipe.toml", "run"));
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(trained.out, folder.file("run/model") + "\n");
  const auto info = run({"info", "--model", folder.file("run/model"), "--json"});
  ASSERT_EQ(info.code, 0) << info.err;
  const json facts = json::parse(info.out);
  EXPECT_EQ(facts.at("dims"), 32);
  const auto near = run({"similarity", "--model", folder.file("run/model"), "the river sleeps",
                         "a river that sleeps"});
  const auto far = run({"similarity", "--model", folder.file("run/model"), "the river sleeps",
                        "a planet that moves"});
  ASSERT_EQ(near.code, 0) << near.err;
  EXPECT_GT(std::stod(near.out), std::stod(far.out));
  // The log has its lines, and the loss has fallen.
  std::istringstream log(read(folder.path() / "run" / "log.jsonl"));
  std::vector<json> lines;
  for (std::string line; std::getline(log, line);) lines.push_back(json::parse(line));
  ASSERT_EQ(lines.size(), 8U);
  EXPECT_EQ(lines.back().at("step"), 40);
  EXPECT_EQ(run({"doctor", "--model", folder.file("run/model")}).code, 0);
  // What is there is not trained over by accident.
  const auto again = run(command(folder, "recipe.toml", "run"));
  EXPECT_EQ(again.code, 2);
  EXPECT_NE(again.err.find("--resume"), std::string::npos) << again.err;
}

int run_and_kill(const std::vector<std::string>& words, std::chrono::duration<double> delay,
                 int signal) {
  Invocation killed{.arguments = words};
  killed.while_running = [&](int child) {
    std::this_thread::sleep_for(delay);
    ::kill(child, signal);
  };
  return run(killed).code;
}

TEST(Train, KilledAtAnyMomentItResumesToTheSameBytes) {
  const TemporaryFolder folder;
  write_data(folder);
  folder.write("recipe.toml", kTransformer);
  const auto start = std::chrono::steady_clock::now();
  const auto whole = run(command(folder, "recipe.toml", "whole"));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(whole.code, 0) << whole.err;
  const std::string expected = read(folder.path() / "whole" / "model" / "model.safetensors");
  ASSERT_GT(expected.size(), 10'000U);
  int stopped = 0;
  constexpr int kMoments = 4;
  for (int i = 1; i <= kMoments; ++i) {
    SCOPED_TRACE(i);
    const std::string out = "torn" + std::to_string(i);
    auto words = command(folder, "recipe.toml", out);
    words.emplace_back("--resume");
    const int signal = i % 2 == 0 ? SIGKILL : SIGINT;
    for (const double part : {0.2 + 0.6 * i / (kMoments + 1), 0.5}) {
      const int code = run_and_kill(words, seconds * part, signal);
      if (code == 128 + SIGKILL || code == 130) ++stopped;
    }
    const auto last = run(words);
    ASSERT_EQ(last.code, 0) << last.err;
    EXPECT_EQ(read(folder.path() / out / "model" / "model.safetensors"), expected);
  }
  EXPECT_GE(stopped, kMoments / 2);
}

constexpr const char* kStatic = R"(
[model]
family = "static_embedding"
tokenizer = "vocab"
hidden = 16
[train]
steps = 60
batch = 32
learning_rate = 2e-2
weight_decay = 0
[[source]]
path = "pairs.jsonl"
)";

TEST(Train, StaticModelsLearnAndResume) {
  const TemporaryFolder folder;
  write_data(folder);
  folder.write("recipe.toml", kStatic);
  auto words = command(folder, "recipe.toml", "run");
  words.emplace_back("--json");
  const auto trained = run(words);
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(json::parse(trained.out).at("steps"), 60);
  words.emplace_back("--resume");
  const auto done = run(words);
  EXPECT_EQ(done.code, 0) << done.err;  // nothing left to do
  // Another recipe does not go on with this run.
  words.insert(words.end(), {"--set", "train.learning_rate=1e-2"});
  const auto other = run(words);
  EXPECT_EQ(other.code, 2);
  EXPECT_NE(other.err.find("learning-rate"), std::string::npos) << other.err;
}

// A new student of a model that was trained before gives its vectors, and its ranking.
TEST(Train, StudentsLearnFromATeacher) {
  const TemporaryFolder folder;
  write_data(folder);
  folder.write("recipe.toml", kStatic);
  ASSERT_EQ(run(command(folder, "recipe.toml", "teacher")).code, 0);
  const auto taught = [&](const std::string& loss, const std::string& records) {
    folder.write("student.toml", std::string(kStatic).substr(0, std::string(kStatic).find("[[")) +
                                     "[teacher]\nmodel = \"" + folder.file("teacher/model") +
                                     "\"\n[[source]]\npath = \"" + records +
                                     "\"\nnegatives = 1\nloss = \"" + loss + "\"\n");
    auto words = command(folder, "student.toml", "student_" + loss);
    words.insert(words.end(), {"--set", "train.seed=9", "--set", "train.steps=200"});
    const auto result = run(words);
    EXPECT_EQ(result.code, 0) << result.err;
    std::istringstream log(read(folder.path() / ("student_" + loss) / "log.jsonl"));
    std::vector<double> losses;
    for (std::string line; std::getline(log, line);) losses.push_back(json::parse(line)["loss"]);
    return losses;
  };
  const auto vectors = taught("vector_distill", "triplets.jsonl");
  ASSERT_GT(vectors.size(), 1U);
  EXPECT_LT(vectors.back(), 0.1 * vectors.front());
  const auto scores = taught("kl_distill", "triplets.jsonl");
  ASSERT_GT(scores.size(), 1U);
  EXPECT_LT(scores.back(), 0.2 * scores.front());
}

// Every text the same vector: the loss stays finite, so only this is said.
TEST(Train, AModelThatCollapsesIsCalledOut) {
  const TemporaryFolder folder;
  write_data(folder);
  std::string same;
  for (int i = 0; i < 64; ++i) {
    same += json{{"query", "the river"}, {"positive", "the river"}}.dump() + "\n";
  }
  folder.write("same.jsonl", same);
  folder.write("recipe.toml", std::string(kStatic).substr(0, std::string(kStatic).find("[[")) +
                                  "[[source]]\npath = \"same.jsonl\"\ndistinct = false\n");
  auto words = command(folder, "recipe.toml", "run");
  words.insert(words.end(), {"--set", "loss.mask_duplicates=false"});
  const auto collapsed = run(words);
  EXPECT_NE(collapsed.err.find("collapsed"), std::string::npos) << collapsed.err;
  folder.write("recipe.toml", kStatic);
  const auto sound = run(command(folder, "recipe.toml", "sound"));
  EXPECT_EQ(sound.err.find("collapsed"), std::string::npos) << sound.err;
}

// A limit below the opened model's counts while it trains, not only in the folder that comes out.
TEST(Train, AnOpenedModelIsTrainedOnTextsOfTheLengthAskedFor) {
  const TemporaryFolder folder;
  write_data(folder);
  folder.write("recipe.toml", kTransformer);
  auto first = command(folder, "recipe.toml", "first");
  first.insert(first.end(), {"--set", "train.steps=2"});
  ASSERT_EQ(run(first).code, 0);
  folder.write("open.toml",
               "[model]\nopen = \"first/model\"\n[train]\nsteps = 2\nlog_every = 1\n"
               "threads = 2\n[[source]]\npath = \"pairs.jsonl\"\n");
  const auto trained = [&](const std::string& out, const std::string& limit) {
    auto words = command(folder, "open.toml", out);
    words.insert(words.end(), {"--set", "model.max_tokens=" + limit});
    return run(words);
  };
  ASSERT_EQ(trained("all", "32").code, 0);
  ASSERT_EQ(trained("cut", "5").code, 0);
  EXPECT_EQ(read(folder.path() / "all" / "log.jsonl").find("cut_texts"), std::string::npos);
  EXPECT_NE(read(folder.path() / "cut" / "log.jsonl").find("cut_texts"), std::string::npos);
  const std::string limits = read(folder.path() / "cut" / "model" / "sentence_bert_config.json");
  EXPECT_EQ(json::parse(limits).at("max_seq_length"), 5);
  const auto beyond = trained("beyond", "4096");
  EXPECT_EQ(beyond.code, 2);
  EXPECT_NE(beyond.err.find("positions for 512"), std::string::npos) << beyond.err;
}

TEST(Train, NamesWhatIsWrong) {
  const TemporaryFolder folder;
  write_data(folder);
  const auto error = [&](const std::string& recipe, std::vector<std::string> more = {}) {
    folder.write("recipe.toml", recipe);
    auto words = command(folder, "recipe.toml", "bad");
    words.insert(words.end(), more.begin(), more.end());
    const auto result = run(words);
    EXPECT_NE(result.code, 0);
    EXPECT_FALSE(fs::exists(folder.path() / "bad" / "model"));
    return result.err;
  };
  const std::string recipe = kStatic;
  EXPECT_NE(error(recipe, {"--set", "source.pairs.loss.name=cosent"}).find("needs a label"),
            std::string::npos);
  EXPECT_NE(error(recipe, {"--set", "source.pairs.loss.name=vector_mse"}).find("[teacher]"),
            std::string::npos);
  EXPECT_NE(error(recipe, {"--set", "loss.name=infonse"}).find("infonce"), std::string::npos);
  EXPECT_NE(error(recipe, {"--set", "train.batch=1"}).find("nothing to tell apart"),
            std::string::npos);
  EXPECT_NE(error(recipe, {"--set", "model.tokenizer=none"}).find("model.tokenizer"),
            std::string::npos);
  EXPECT_NE(error(recipe + "[[source]]\npath = \"gone.jsonl\"\n").find("gone.jsonl"),
            std::string::npos);
  EXPECT_NE(error(recipe + "[[source]]\npath = \"graded.jsonl\"\n").find("40 of 400 records"),
            std::string::npos);
  const std::string old = "[[source]]\npath = \"graded.jsonl\"\nold = true\n";
  EXPECT_NE(error(recipe + old, {"--set", "ewc.estimate=8"}).find("[ewc] takes every second"),
            std::string::npos);
  EXPECT_NE(error(recipe, {"--set", "source.pairs.path=graded.jsonl", "--set",
                           "source.pairs.loss.name=cosent", "--set", "ewc.estimate=8"})
                .find("ewc.estimate"),
            std::string::npos);
  EXPECT_NE(error("[train]\nstep = 1\n").find("recipe.toml:2"), std::string::npos);
}

TEST(Train, ANumberThatIsNotFiniteStopsTheRunAndNamesRows) {
  const TemporaryFolder folder;
  write_data(folder);
  folder.write("recipe.toml", kTransformer);
  auto words = command(folder, "recipe.toml", "run");
  words.insert(words.end(), {"--set", "train.learning_rate=1000", "--set", "train.clip=0", "--set",
                             "train.warmup=0", "--set", "train.steps=200"});
  const auto result = run(words);
  if (result.code == 0) GTEST_SKIP() << "this machine's sums stayed finite";
  EXPECT_NE(result.err.find("step "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("row "), std::string::npos) << result.err;
}

TEST(Train, ExplainsWhichLossFits) {
  const TemporaryFolder folder;
  write_data(folder);
  const auto pairs = run({"train", "--explain", folder.file("pairs.jsonl"), "--json"});
  ASSERT_EQ(pairs.code, 0) << pairs.err;
  EXPECT_EQ(json::parse(pairs.out).at("proposals").at(0).at("loss"), "infonce");
  const auto graded = run({"train", "--explain", folder.file("graded.jsonl"), "--json"});
  EXPECT_EQ(json::parse(graded.out).at("proposals").at(0).at("loss"), "cosent");
  const auto list = run({"train", "--list"});
  EXPECT_EQ(list.code, 0);
  EXPECT_NE(list.out.find("learning_rate"), std::string::npos);
}

}  // namespace
}  // namespace akin::cli_test

#endif
