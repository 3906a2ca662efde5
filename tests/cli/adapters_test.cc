// The recipes of adapters and of continual learning on small data: what they write opens and runs,
// and runs that were killed end in the same bytes as one that was not.
#ifdef AKIN_WITH_TRAIN

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "run_program.h"
#include "store/vectors_file.h"
#include "tiny_bert.h"

namespace akin::cli_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

const std::vector<std::string> kThings = {"river",  "engine", "garden", "market", "winter",
                                          "violin", "planet", "bridge", "window", "forest"};
const std::vector<std::string> kDeeds = {"grows", "sleeps", "waits", "moves", "sings"};

void write_data(const TemporaryFolder& folder) {
  std::string pairs, triplets, graded, classes, texts;
  for (size_t i = 0; i < 200; ++i) {
    const std::string& thing = kThings[i % kThings.size()];
    const std::string& other = kThings[(i + 1 + i / 10 % 8) % kThings.size()];
    const std::string& deed = kDeeds[i / 10 % kDeeds.size()];
    const std::string number = std::to_string(i);
    const std::string query = "the " + thing + " " + deed + " " + number;
    const std::string positive = "a " + thing + " that " + deed + " " + number;
    const std::string negative = "a " + other + " that " + deed;
    pairs += json{{"query", query}, {"positive", positive}}.dump() + "\n";
    triplets +=
        json{{"query", query}, {"positive", positive}, {"negatives", {negative}}}.dump() + "\n";
    graded += json{{"query", query},
                   {"positive", i % 2 == 0 ? positive : negative},
                   {"label", i % 2 == 0 ? 1.0 : 0.2}}
                  .dump() +
              "\n";
    classes += json{{"text", query}, {"label", thing}}.dump() + "\n";
    texts += query + "\n" + positive + "\n";
  }
  folder.write("pairs.jsonl", pairs);
  folder.write("triplets.jsonl", triplets);
  folder.write("graded.jsonl", graded);
  folder.write("classes.jsonl", classes);
  folder.write("texts.txt", texts);
}

constexpr const char* kBase = R"(
[model]
tokenizer = "vocab"
layers = 2
hidden = 32
heads = 2
ffn_hidden = 64
max_tokens = 64
[train]
steps = 20
batch = 16
learning_rate = 1e-3
threads = 2
[[source]]
path = "pairs.jsonl"
)";

// Every source of a recipe reads its small data instead.
void set_all(std::vector<std::string>& words, const std::vector<std::string>& settings) {
  for (const std::string& setting : settings) {
    words.emplace_back("--set");
    words.push_back(setting);
  }
}

// Killed once it has written a checkpoint; whether it was still running then.
bool kill_behind_checkpoint(const std::vector<std::string>& words, const fs::path& out) {
  Invocation killed{.arguments = words};
  killed.while_running = [&](int child) {
    for (int i = 0; i < 6000 && !fs::exists(out / "checkpoint.safetensors"); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ::kill(child, SIGKILL);
  };
  return run(killed).code == 128 + SIGKILL;
}

Mat<float> embed(const TemporaryFolder& folder, const std::string& model,
                 std::vector<std::string> more) {
  std::vector<std::string> words = {
      "embed", "--model", model, "--out", folder.file("v.npy"), folder.file("texts.txt")};
  words.insert(words.end(), more.begin(), more.end());
  const auto result = run(words);
  EXPECT_EQ(result.code, 0) << result.err;
  return store::read_npy(folder.file("v.npy"));
}

double difference(const Mat<float>& a, const Mat<float>& b) {
  double most = 0;
  EXPECT_EQ(a.rows(), b.rows());
  for (size_t i = 0; i < a.rows() * a.cols(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a.data()[i]) - b.data()[i]));
  return most;
}

class Continued : public testing::Test {
 protected:
  Continued() { write_data(folder_); }
  TemporaryFolder folder_;
};

TEST_F(Continued, FiveAdaptersOverAFrozenBase) {
  const auto vocab = run({"tokenizer", "train", "--type", "wordpiece", "--vocab-size", "300",
                          "--out", folder_.file("vocab"), folder_.file("texts.txt")});
  ASSERT_EQ(vocab.code, 0) << vocab.err;
  folder_.write("base.toml", kBase);
  const std::string data = folder_.path().string();
  const auto base =
      run({"train", folder_.file("base.toml"), "--data", data, "--out", folder_.file("base")});
  ASSERT_EQ(base.code, 0) << base.err;

  const auto words = [&](const std::string& out) {
    std::vector<std::string> all = {
        "train",   "recipes/jina-v3-adapters.toml", "--data", data, "--out", folder_.file(out),
        "--resume"};
    set_all(all, {"model.open=" + folder_.file("base/model"),
                  "train.steps=24",
                  "train.batch=16",
                  "train.checkpoint_every=3",
                  "train.threads=2",
                  "train.log_every=4",
                  "evaluate.tasks=",
                  "adapters.merged=true",
                  "source.wikiqa_en/triplet.path=triplets.jsonl",
                  "source.medquad_qa_en/train.path=pairs.jsonl",
                  "source.cjrc_law_qa_zh/train.path=pairs.jsonl",
                  "source.stsb_zh/train_clean.path=graded.jsonl",
                  "source.afqmc_zh/train.path=pairs.jsonl",
                  "source.quora_duplicates_en/pairs.path=pairs.jsonl",
                  "source.snli_dev_en/triplet.path=triplets.jsonl",
                  "source.banking77_en/train.path=classes.jsonl",
                  "source.trec6_en/train.path=classes.jsonl",
                  "source.csl_clustering_zh/title_category_train.path=classes.jsonl",
                  "source.thucnews_titles_zh/dev.path=classes.jsonl",
                  "source.paper_title_abstract_en/train.path=pairs.jsonl"});
    return all;
  };
  const auto whole = run(words("whole"));
  ASSERT_EQ(whole.code, 0) << whole.err;
  const fs::path model = folder_.path() / "whole" / "model";
  EXPECT_EQ(bytes(model / "model.safetensors"),
            bytes(folder_.path() / "base" / "model" / "model.safetensors"));

  EXPECT_TRUE(kill_behind_checkpoint(words("torn"), folder_.path() / "torn"));
  const auto resumed = run(words("torn"));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  const std::vector<std::string> tasks = {"classification", "retrieval.passage", "retrieval.query",
                                          "separation", "text-matching"};
  for (const std::string& task : tasks) {
    const fs::path file = fs::path("model/adapters") / task / "adapter_model.safetensors";
    EXPECT_EQ(bytes(folder_.path() / "torn" / file), bytes(folder_.path() / "whole" / file))
        << task;
    // The engine runs the adapter beside the base; merged into weights it is the same.
    const auto unmerged = embed(folder_, model.string(), {"--task", task, "--prompt", ""});
    const auto merged = embed(folder_, folder_.file("whole/merged/" + task), {"--prompt", ""});
    EXPECT_LT(difference(unmerged, merged), 1e-5) << task;
    EXPECT_GT(difference(unmerged, embed(folder_, model.string(), {"--prompt", ""})), 1e-4) << task;
    // So it is with the task's own prompt, where it has one, which nobody has to name.
    EXPECT_LT(difference(embed(folder_, model.string(), {"--task", task}),
                         embed(folder_, folder_.file("whole/merged/" + task), {})),
              1e-5)
        << task;
  }
  EXPECT_EQ(difference(embed(folder_, model.string(), {"--prompt", ""}),
                       embed(folder_, folder_.file("base/model"), {"--prompt", ""})),
            0);
  // A task brings its prompt, and a side its task.
  const auto query = embed(folder_, model.string(), {"--as", "query"});
  EXPECT_EQ(difference(query, embed(folder_, model.string(), {"--task", "retrieval.query"})), 0);
  EXPECT_GT(difference(query, embed(folder_, model.string(),
                                    {"--task", "retrieval.query", "--prompt", ""})),
            1e-4);
  const auto unknown = run({"embed", "--model", model.string(), "--task", "poetry", "--text", "a"});
  EXPECT_NE(unknown.code, 0);
  EXPECT_NE(unknown.err.find("text-matching"), std::string::npos) << unknown.err;
}

TEST_F(Continued, OldSkillIsHeldOverTwoStages) {
  const std::string data = folder_.path().string();
  const auto words = [&](const std::string& out, const std::string& lambda,
                         const std::vector<std::string>& more) {
    std::vector<std::string> all = {"train", "recipes/ewc.toml", "--data",  data,
                                    "--out", folder_.file(out),  "--resume"};
    set_all(all, {"train.steps=12", "train.batch=32", "train.checkpoint_every=2", "train.threads=2",
                  "evaluate.tasks=", "evaluate.general=", "ewc.lambda=" + lambda, "ewc.estimate=64",
                  "ewc.candidates=32", "source.python_docstring_code/train.path=pairs.jsonl"});
    set_all(all, more);
    return all;
  };
  const std::vector<std::string> held = {"model.open=models/static-en-64",
                                         "source.held.path=pairs.jsonl"};
  const auto whole = run(words("whole", "1000", held));
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_TRUE(kill_behind_checkpoint(words("torn", "1000", held), folder_.path() / "torn"));
  const auto resumed = run(words("torn", "1000", held));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  for (const char* file : {"model/model.safetensors", "fisher.safetensors", "movement.json"})
    EXPECT_EQ(bytes(folder_.path() / "torn" / file), bytes(folder_.path() / "whole" / file))
        << file;

  // Weights move less the more they are held.
  const auto moved = [&](const std::string& out) {
    return json::parse(bytes(folder_.path() / out / "movement.json"))[0];
  };
  ASSERT_EQ(run(words("strict", "1e9", held)).code, 0);
  ASSERT_EQ(run(words("free", "0", held)).code, 0);
  const json whole_moved = moved("whole");
  EXPECT_LT(moved("strict").at("held_moved"), whole_moved.at("held_moved"));
  EXPECT_LT(whole_moved.at("held_moved"), moved("free").at("held_moved"));

  // The next stage goes on from the model and the Fisher file that the first one left.
  folder_.write("next.toml", "[model]\nopen = \"" + folder_.file("whole/model") +
                                 "\"\n[train]\nsteps = 6\nbatch = 32\n[ewc]\nlambda = 100\n"
                                 "estimate = 64\ncandidates = 32\nfrom = \"" +
                                 folder_.file("whole/fisher.safetensors") +
                                 "\"\n[[source]]\npath = \"triplets.jsonl\"\n");
  const auto next =
      run({"train", folder_.file("next.toml"), "--data", data, "--out", folder_.file("next")});
  ASSERT_EQ(next.code, 0) << next.err;
  EXPECT_TRUE(fs::exists(folder_.path() / "next" / "fisher.safetensors"));
  const auto nothing = run(words(
      "nothing", "1000",
      {"model.open=models/static-en-64", "source.held.old=false", "source.held.path=pairs.jsonl"}));
  EXPECT_NE(nothing.code, 0);
  EXPECT_NE(nothing.err.find("fisher.safetensors"), std::string::npos) << nothing.err;
}

TEST(LateChunking, AChunkHasReadTheWholeDocument) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  const auto lines = [&](const std::string& text, const char* most) {
    const auto result = run({"embed", "--model", model, "--as", "document", "--with-text", "--text",
                             text, "--late-chunking", "--chunk-tokens", most});
    EXPECT_EQ(result.code, 0) << result.err;
    std::vector<json> out;
    std::istringstream in(result.out);
    for (std::string line; std::getline(in, line);) out.push_back(json::parse(line));
    return out;
  };
  const auto chunks = lines("a b. c d", "3");
  ASSERT_EQ(chunks.size(), 2U);
  EXPECT_EQ(chunks[0].at("id"), "0:0-4");
  EXPECT_EQ(chunks[0].at("text"), "a b.");
  EXPECT_EQ(chunks[1].at("id"), "0:5-8");
  // The same words beside others have other vectors; beside the same, the same.
  EXPECT_NE(chunks[0].dump(), lines("a b. x y", "3")[0].dump());
  EXPECT_EQ(chunks[0].dump(), lines("a b. c d", "3")[0].dump());
  const auto refused =
      run({"embed", "--model", model, "--pooling", "cls", "--text", "a", "--late-chunking"});
  EXPECT_NE(refused.code, 0);
}

}  // namespace
}  // namespace akin::cli_test

#endif
