// akin train end to end: a vocabulary, a recipe, a model folder; runs that were killed end in the
// same bytes as one that was not; bad input is named.
#ifdef AKIN_WITH_TRAIN

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "train_data.h"

namespace akin::cli_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

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
  EXPECT_NE(other.err.find("train.learning_rate"), std::string::npos) << other.err;
}

TEST(Train, LeavesOutWhatMeetsAnEvaluationText) {
  const TemporaryFolder folder;
  write_data(folder);
  folder.write("recipe.toml", kStatic);
  folder.write("eval.tsv", "s1\ts2\nThe river GROWS 0\ta garden that sleeps 12\n");
  auto words = command(folder, "recipe.toml", "run");
  words.insert(words.end(), {"--set", "evaluate.eval_texts=eval.tsv"});
  auto plain = words;
  words.emplace_back("--json");
  const auto trained = run(words);
  ASSERT_EQ(trained.code, 0) << trained.err;
  const auto source = json::parse(trained.out).at("sources").at(0);
  EXPECT_EQ(source.at("records"), 398);
  EXPECT_EQ(source.at("left_out"), 2);
  plain.emplace_back("--resume");
  const auto said = run(plain);
  EXPECT_EQ(said.code, 0) << said.err;
  folder.write("eval2.tsv", "s1\ts2\nnothing\tof it\n");
  plain.insert(plain.end(), {"--set", "evaluate.eval_texts=eval2.tsv"});
  const auto other = run(plain);
  EXPECT_EQ(other.code, 2) << other.err;
  EXPECT_NE(other.err.find("evaluate.eval_texts"), std::string::npos) << other.err;
  auto missing = command(folder, "recipe.toml", "other");
  missing.insert(missing.end(), {"--set", "evaluate.eval_texts=none.tsv"});
  const auto refused = run(missing);
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("none.tsv"), std::string::npos) << refused.err;
}

// Stopped half-way, a run may go on at another rate, which is said, and then is of the new recipe.
TEST(Train, ARunGoesOnAtAnotherRate) {
  const TemporaryFolder folder;
  write_data(folder);
  folder.write("recipe.toml", kStatic);
  auto words = command(folder, "recipe.toml", "run");
  words.insert(words.end(), {"--set", "train.checkpoint_every=20"});
  ASSERT_EQ(run(words).code, 0);
  fs::remove_all(folder.path() / "run" / "model");
  auto changed = words;
  changed.insert(changed.end(), {"--resume", "--set", "train.clip=0.5"});
  auto refused = run(changed);
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("--change-rate"), std::string::npos) << refused.err;
  changed.emplace_back("--change-rate");
  const auto gone_on = run(changed);
  EXPECT_EQ(gone_on.code, 0) << gone_on.err;
  EXPECT_NE(gone_on.err.find("train.clip changes from step"), std::string::npos) << gone_on.err;
  EXPECT_TRUE(fs::exists(folder.path() / "run" / "model"));
  changed.insert(changed.end(), {"--set", "train.batch=16"});
  refused = run(changed);
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("train.batch"), std::string::npos) << refused.err;
  words.emplace_back("--change-rate");
  EXPECT_EQ(run(words).code, 2);
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

// Nothing to learn from: every query is nearest to its positive before the first step.
TEST(Train, NegativesThatAreTooEasyAreCalledOut) {
  const TemporaryFolder folder;
  std::string easy;
  for (const auto& thing : kThings) {
    for (const auto& deed : kDeeds) {
      easy +=
          json{{"query", "the " + thing + " " + deed}, {"positive", thing + " " + deed}}.dump() +
          "\n";
    }
  }
  folder.write("easy.jsonl", easy);
  folder.write("recipe.toml",
               "[model]\nopen = \"static-en-64\"\n[train]\nsteps = 12\nbatch = 8\nthreads = 2\n"
               "[[source]]\npath = \"easy.jsonl\"\n");
  const auto result = run(command(folder, "recipe.toml", "run"));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("too easy"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("akin mine"), std::string::npos) << result.err;
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
  for (const char* name : {"infonse", "mnrl", "MultipleNegativesRankingLoss", "InfoNCE"}) {
    const std::string said = error(recipe, {"--set", std::string("loss.name=") + name});
    EXPECT_NE(said.find("did you mean infonce?"), std::string::npos) << said;
  }
  EXPECT_NE(error(recipe, {"--set", "train.learning_rate=1e30"}).find("at most 1000"),
            std::string::npos);
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
  // Grades are no matter of 0 and 1.
  EXPECT_NE(error(recipe + "[[source]]\npath = \"graded.jsonl\"\n").find("the labels are grades"),
            std::string::npos);
  // Two passes over a text need two masks.
  const std::string alone = "[[source]]\nname = \"alone\"\npath = \"texts.txt\"\nsingle = true\n";
  EXPECT_NE(error(recipe + alone).find("a static model has no dropout"), std::string::npos);
  EXPECT_NE(error(kTransformer, {"--set", "model.dropout=0", "--set", "model.attention_dropout=0"})
                .find("dropout is off"),
            std::string::npos);
}

// Labels that tell nothing apart, under losses that compare texts by them.
TEST(Train, RefusesLabelsThatTeachNothing) {
  const TemporaryFolder folder;
  write_data(folder);
  std::string same, own, mixed, ones;
  for (int i = 0; i < 40; ++i) {
    const std::string text = kThings[static_cast<size_t>(i) % 10] + " " + std::to_string(i);
    const auto row = [&](const std::string& label) {
      return json{{"text", text}, {"label", label}}.dump() + "\n";
    };
    same += row("a");
    own += row(std::to_string(i));
    mixed += row(i % 2 == 0 ? "a" : "b");
    ones += json{{"query", text}, {"positive", text}, {"label", 1}}.dump() + "\n";
  }
  folder.write("same.jsonl", same);
  folder.write("own.jsonl", own);
  folder.write("mixed.jsonl", mixed);
  folder.write("one.jsonl", same.substr(0, same.find('\n') + 1));
  folder.write("ones.jsonl", ones);
  const std::string head = std::string(kStatic).substr(0, std::string(kStatic).find("[["));
  const auto error = [&](const std::string& file, const std::string& rest) {
    folder.write("recipe.toml", head + "[[source]]\npath = \"" + file + "\"\n" + rest);
    const auto result = run(command(folder, "recipe.toml", "run_" + file));
    return result.err + result.out;
  };
  for (const std::string loss : {"label_softmax", "label_rank"}) {
    const std::string rest = "classes = true\nloss = \"" + loss + "\"\n";
    EXPECT_NE(error("same.jsonl", rest).find("there is nothing to learn"), std::string::npos);
    EXPECT_NE(error("one.jsonl", rest).find("there is nothing to learn"), std::string::npos);
    EXPECT_NE(error("own.jsonl", rest).find("labels of their own"), std::string::npos);
    EXPECT_NE(error("mixed.jsonl", rest + "batch = 1\n").find("raise batch"), std::string::npos);
    EXPECT_NE(error("mixed.jsonl", rest).find("run_mixed"), std::string::npos);  // it runs
    fs::remove_all(folder.path() / "run_mixed.jsonl");
  }
  EXPECT_NE(error("ones.jsonl", "loss = \"cosent\"\n").find("there is nothing to learn"),
            std::string::npos);
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

TEST(Train, DryRunPrintsWhatARecipeSays) {
  const TemporaryFolder folder;
  write_data(folder);
  folder.write("recipe.toml",
               "[model]\nopen = \"static-en-64\"\n[[source]]\npath = \"pairs.jsonl\"\n");
  const std::vector<std::string> words = {"train", folder.file("recipe.toml"), "--data",
                                          folder.path().string(), "--dry-run"};
  const auto shown = run(words);
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find("\n    \"learning_rate\": "), std::string::npos) << shown.out;
  const auto values = json::parse(shown.out);
  EXPECT_TRUE(values.at("source").at(0).at("loss").contains("in_batch_negatives"));
  for (const char* key : {"family", "layers", "hidden", "heads", "tokenizer", "init_std"})
    EXPECT_FALSE(values.at("model").contains(key)) << key;
  auto machine = words;
  machine.emplace_back("--json");
  const auto line = run(machine);
  EXPECT_EQ(std::count(line.out.begin(), line.out.end(), '\n'), 1);
  EXPECT_EQ(json::parse(line.out), values);
  auto gone = words;
  gone.insert(gone.end(), {"--set", "source.NAME.path=gone.jsonl"});
  folder.write("recipe.toml",
               "[model]\nopen = \"static-en-64\"\n[[source]]\nname = \"NAME\"\npath = \"x\"\n");
  const auto missing = run(gone);
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find("gone.jsonl"), std::string::npos) << missing.err;
}

TEST(Train, ExplainsWhichLossFits) {
  const TemporaryFolder folder;
  write_data(folder);
  const auto pairs = run({"train", "--explain", folder.file("pairs.jsonl"), "--json"});
  ASSERT_EQ(pairs.code, 0) << pairs.err;
  EXPECT_EQ(json::parse(pairs.out).at("proposals").at(0).at("loss"), "infonce");
  const auto graded = run({"train", "--explain", folder.file("graded.jsonl"), "--json"});
  EXPECT_EQ(json::parse(graded.out).at("proposals").at(0).at("loss"), "cosent");
  // 1 and 0.5 are grades; the number is the file's, not the nearest float's.
  folder.write("half.jsonl",
               "{\"query\":\"a\",\"positive\":\"b\",\"label\":1}\n"
               "{\"query\":\"c\",\"positive\":\"d\",\"label\":0.3}\n");
  const auto half = run({"train", "--explain", folder.file("half.jsonl")});
  EXPECT_NE(half.out.find("graded labels (0.3 to 1)"), std::string::npos) << half.out;
  const auto list = run({"train", "--list"});
  EXPECT_EQ(list.code, 0);
  EXPECT_NE(list.out.find("learning_rate"), std::string::npos);
}

}  // namespace
}  // namespace akin::cli_test

#endif
