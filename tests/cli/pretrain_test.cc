// akin train with [pretrain], end to end on small texts: every objective ends in a folder that
// opens and that contrastive training starts from; rotary positions in place of a table; stages of
// length; runs that were killed end in the same bytes as one that was not.
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

// Sentences with a grammar that can be learned, and a vocabulary of them.
void write_texts(const TemporaryFolder& folder) {
  const std::vector<std::string> things = {"river",  "engine", "garden", "market", "winter",
                                           "violin", "planet", "bridge", "window", "forest"};
  const std::vector<std::string> deeds = {"grows", "sleeps", "waits", "moves", "sings"};
  std::string texts, pairs;
  for (size_t i = 0; i < 400; ++i) {
    const std::string thing = things[i % 10], deed = deeds[i / 10 % 5];
    const std::string line = "the " + thing + " " + deed + " and the " + things[(i + 3) % 10] +
                             " " + deed + ", so the " + thing + " never " + deeds[(i + 1) % 5];
    texts += json{{"text", line}}.dump() + "\n";
    pairs += json{{"query", "the " + thing + " " + deed + " " + std::to_string(i)},
                  {"positive", "a " + thing + " that " + deed}}
                 .dump() +
             "\n";
  }
  folder.write("texts.jsonl", texts);
  folder.write("pairs.jsonl", pairs);
  const auto made =
      run({"tokenizer", "train", "--type", "wordpiece", "--vocab-size", "200", "--field", "text",
           "--out", folder.file("vocab"), folder.file("texts.jsonl")});
  ASSERT_EQ(made.code, 0) << made.err;
}

// One of the recipes of the repository, on these texts and with a model of a few kilobytes.
std::vector<std::string> command(const TemporaryFolder& folder, const std::string& recipe,
                                 const std::string& out,
                                 const std::vector<std::string>& settings = {}) {
  std::vector<std::string> words = {"train", recipe,          "--data", folder.path().string(),
                                    "--out", folder.file(out)};
  for (const auto& setting : settings) words.insert(words.end(), {"--set", setting});
  return words;
}

constexpr const char* kSmall = R"(
[model]
tokenizer = "vocab"
layers = 2
hidden = 32
heads = 2
ffn_hidden = 64
max_positions = 64
max_tokens = 64
pooling = "cls"
[train]
steps = 24
batch = 8
learning_rate = 2e-3
log_every = 4
checkpoint_every = 5
threads = 2
[pretrain]
objective = "OBJECTIVE"
mask = 0.3
length = 32
[[source]]
path = "texts.jsonl"
)";

std::string small(const std::string& objective) {
  std::string out = kSmall;
  return out.replace(out.find("OBJECTIVE"), 9, objective);
}

std::vector<json> log_of(const fs::path& out) {
  std::istringstream log(read(out / "log.jsonl"));
  std::vector<json> lines;
  for (std::string line; std::getline(log, line);) lines.push_back(json::parse(line));
  return lines;
}

TEST(Pretrain, EveryObjectiveLearnsAndContrastiveTrainingGoesOn) {
  const TemporaryFolder folder;
  write_texts(folder);
  for (const std::string objective : {"mlm", "retromae", "dupmae"}) {
    SCOPED_TRACE(objective);
    folder.write(objective + ".toml", small(objective));
    const auto trained = run(command(folder, folder.file(objective + ".toml"), objective));
    ASSERT_EQ(trained.code, 0) << trained.err;
    EXPECT_NE(trained.err.find("tokens/s"), std::string::npos) << trained.err;
    const auto log = log_of(folder.path() / objective);
    EXPECT_EQ(log.front().at("parts").size(), objective == "mlm"      ? 1U
                                              : objective == "dupmae" ? 3U
                                                                      : 2U);
    EXPECT_LT(log.back().at("loss").get<double>(), 0.9 * log.front().at("loss").get<double>());
    EXPECT_EQ(run({"doctor", "--model", folder.file(objective + "/model")}).code, 0);
  }
  folder.write("pairs.toml",
               "[model]\nopen = \"retromae/model\"\n[train]\nsteps = 2\nbatch = 8\n"
               "[[source]]\npath = \"pairs.jsonl\"\n");
  const auto tuned = run(command(folder, folder.file("pairs.toml"), "pairs",
                                 {"model.open=" + folder.file("retromae/model")}));
  EXPECT_EQ(tuned.code, 0) << tuned.err;
  // A second run goes on with the heads of the first: it begins where that one ended.
  const auto again = run(command(folder, folder.file("retromae.toml"), "again",
                                 {"model.open=" + folder.file("retromae/model")}));
  ASSERT_EQ(again.code, 0) << again.err;
  const double first = log_of(folder.path() / "retromae").front().at("loss").get<double>();
  EXPECT_LT(log_of(folder.path() / "again").front().at("loss").get<double>(), 0.95 * first);
}

TEST(Pretrain, RotaryPositionsTakeThePlaceOfATable) {
  const TemporaryFolder folder;
  write_texts(folder);
  folder.write("mlm.toml", small("mlm"));
  ASSERT_EQ(run(command(folder, folder.file("mlm.toml"), "start", {"train.steps=2"})).code, 0);
  const auto rotary = run(
      command(folder, folder.file("mlm.toml"), "rotary",
              {"model.open=" + folder.file("start/model"), "model.position=rotary",
               "model.max_tokens=256", "pretrain.objective=retromae", "pretrain.stages=12:128"}));
  ASSERT_EQ(rotary.code, 0) << rotary.err;
  const auto info = run({"info", "--model", folder.file("rotary/model"), "--json"});
  ASSERT_EQ(info.code, 0) << info.err;
  EXPECT_NE(info.out.find("jina_v3"), std::string::npos) << info.out;
  EXPECT_NE(info.out.find("256"), std::string::npos) << info.out;
  EXPECT_EQ(run({"doctor", "--model", folder.file("rotary/model")}).code, 0);
  // From scratch, too.
  const auto scratch = run(command(folder, folder.file("mlm.toml"), "scratch",
                                   {"model.position=rotary", "train.steps=2"}));
  EXPECT_EQ(scratch.code, 0) << scratch.err;
}

TEST(Pretrain, KilledAtAnyMomentItResumesToTheSameBytes) {
  const TemporaryFolder folder;
  write_texts(folder);
  folder.write("dupmae.toml", small("dupmae"));
  const std::vector<std::string> settings = {"model.position=rotary", "pretrain.stages=10:48"};
  const auto start = std::chrono::steady_clock::now();
  const auto whole = run(command(folder, folder.file("dupmae.toml"), "whole", settings));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(whole.code, 0) << whole.err;
  const std::string expected = read(folder.path() / "whole" / "model" / "model.safetensors");
  const std::string heads = read(folder.path() / "whole" / "heads.safetensors");
  ASSERT_GT(expected.size(), 10'000U);
  ASSERT_GT(heads.size(), 10'000U);
  for (const double part : {0.45, 0.6, 0.8}) {
    SCOPED_TRACE(part);
    const std::string out = "torn" + std::to_string(static_cast<int>(100 * part));
    auto words = command(folder, folder.file("dupmae.toml"), out, settings);
    words.emplace_back("--resume");
    Invocation killed{.arguments = words};
    killed.while_running = [&](int child) {
      std::this_thread::sleep_for(seconds * part);
      ::kill(child, SIGKILL);
    };
    run(killed);
    const auto last = run(words);
    ASSERT_EQ(last.code, 0) << last.err;
    EXPECT_EQ(read(folder.path() / out / "model" / "model.safetensors"), expected);
    EXPECT_EQ(read(folder.path() / out / "heads.safetensors"), heads);
  }
}

// The recipes of the repository, as they are but for size and data.
TEST(Pretrain, TheRecipesRun) {
  const TemporaryFolder folder;
  write_texts(folder);
  const std::vector<std::string> small_run = {"train.steps=3", "train.batch=4"};
  const std::vector<std::string> small_model = {"model.tokenizer=" + folder.file("vocab"),
                                                "model.layers=1", "model.hidden=32",
                                                "model.heads=2", "model.ffn_hidden=64"};
  const auto run_recipe = [&](const std::string& name, std::vector<std::string> settings) {
    // The sources of the recipe are replaced by the texts of the test.
    std::string recipe = read("recipes/" + name + ".toml");
    recipe = recipe.substr(0, recipe.find("[[source]]")) + "[[source]]\npath = \"texts.jsonl\"\n";
    folder.write(name + ".toml", recipe);
    settings.insert(settings.begin(), small_run.begin(), small_run.end());
    const auto result = run(command(folder, folder.file(name + ".toml"), name, settings));
    EXPECT_EQ(result.code, 0) << name << ": " << result.err;
    EXPECT_EQ(run({"info", "--model", folder.file(name + "/model")}).code, 0) << name;
  };
  run_recipe("retromae", small_model);
  run_recipe("dupmae", small_model);
  run_recipe("mlm-rope", {"model.open=" + folder.file("retromae/model"), "pretrain.stages=2:256"});
}

TEST(Pretrain, NamesWhatIsWrong) {
  const TemporaryFolder folder;
  write_texts(folder);
  folder.write("mlm.toml", small("mlm"));
  const auto error = [&](const std::vector<std::string>& settings) {
    const auto result = run(command(folder, folder.file("mlm.toml"), "bad", settings));
    EXPECT_NE(result.code, 0);
    return result.err;
  };
  EXPECT_NE(error({"pretrain.objective=mla"}).find("retromae"), std::string::npos);
  EXPECT_NE(error({"pretrain.mask=1.5"}).find("pretrain.mask"), std::string::npos);
  EXPECT_NE(error({"pretrain.length=4096"}).find("max_tokens"), std::string::npos);
  EXPECT_NE(error({"pretrain.stages=soon"}).find("STEP:LENGTH"), std::string::npos);
  EXPECT_NE(error({"train.grad_cache=4"}).find("train.grad_cache"), std::string::npos);
  EXPECT_NE(error({"model.position=sinus"}).find("rotary"), std::string::npos);
  EXPECT_NE(error({"model.family=static_embedding"}).find("static"), std::string::npos);
}

}  // namespace
}  // namespace akin::cli_test

#endif
