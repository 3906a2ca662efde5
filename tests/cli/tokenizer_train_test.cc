// akin tokenizer train end to end: both kinds, several files and fields, use by akin tokenize, the
// same bytes for any threads, and errors.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "run_program.h"

namespace akin::cli_test {
namespace {

using nlohmann::json;

constexpr const char* kPairs =
    "{\"query\":\"How do trains learn?\",\"pos\":[\"Trains learn by training.\",\"火车学习\"]}\n"
    "{\"query\":\"learning trains\",\"pos\":[\"training, learning\"]}\n";
constexpr const char* kLines = "trains train\nlearning machines learn 机器学习\n机器学习\n";

TEST(TokenizerCommand, TrainsUnigram) {
  const TemporaryFolder folder;
  const auto pairs = folder.write("pairs.jsonl", kPairs);
  const auto lines = folder.write("lines.txt", kLines);
  const auto train = [&](const std::string& out, const std::string& threads) {
    return run({"tokenizer", "train", pairs, lines, "--field", "query,pos,neg", "--vocab-size",
                "60", "--coverage", "1", "--lowercase", "--out", out, "--threads", threads,
                "--json"});
  };
  const auto out = folder.file("vocab");
  const auto done = train(out, "1");
  ASSERT_EQ(done.code, 0) << done.err;
  const auto facts = json::parse(done.out);
  EXPECT_EQ(facts["texts"], 8);
  EXPECT_LE(facts["vocab_size"], 60);
  EXPECT_LT(facts["tokens_per_character"], 1);
  EXPECT_EQ(json::parse(read(out + "/tokenizer_config.json"))["cls_token"], "[CLS]");
  EXPECT_EQ(json::parse(read(out + ".config.json"))["command"], "tokenizer");
  const auto used = run({"tokenize", "--model", out, "Learning (trains)", "--json"});
  ASSERT_EQ(used.code, 0) << used.err;
  const auto tokens = json::parse(used.out)["tokens"];
  EXPECT_EQ(tokens.front(), "[CLS]");
  EXPECT_EQ(tokens.back(), "[SEP]");
  const auto other = folder.file("other");
  ASSERT_EQ(train(other, "3").code, 0);
  EXPECT_EQ(read(out + "/tokenizer.json"), read(other + "/tokenizer.json"));
}

TEST(TokenizerCommand, TrainsWordPieceFromStdin) {
  const TemporaryFolder folder;
  const auto out = folder.file("vocab");
  const auto done =
      run({.arguments = {"tokenizer", "train", "-", "--type", "wordpiece", "--vocab-size", "50",
                         "--out", out, "--special-tokens", "[Q]"},
           .input = kLines});
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_NE(done.err.find("tokens a word"), std::string::npos) << done.err;
  const auto used = run({"tokenize", "--model", out, "[Q] train", "--json", "--no-special"});
  EXPECT_EQ(json::parse(used.out)["tokens"], (json{"[Q]", "train"}));
}

TEST(TokenizerCommand, ReplacesNoTokenizerUnasked) {
  const TemporaryFolder folder;
  const auto lines = folder.write("lines.txt", kLines);
  const auto out = folder.file("vocab");
  std::vector<std::string> words = {"tokenizer", "train", lines, "--vocab-size",
                                    "40",        "--out", out};
  ASSERT_EQ(run(words).code, 0);
  const std::string first = read(out + "/tokenizer.json");
  words.emplace_back("--lowercase");
  const auto refused = run(words);
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("--force"), std::string::npos) << refused.err;
  EXPECT_EQ(read(out + "/tokenizer.json"), first);
  words.emplace_back("--force");
  EXPECT_EQ(run(words).code, 0);
  EXPECT_NE(read(out + "/tokenizer.json"), first);
}

TEST(TokenizerCommand, HelpNamesOneDefaultOfTheCoverage) {
  const auto help = run({"help", "tokenizer"});
  EXPECT_NE(help.out.find("1 for wordpiece"), std::string::npos) << help.out;
  EXPECT_EQ(help.out.find("Default 0.0"), std::string::npos) << help.out;
}

TEST(TokenizerCommand, Errors) {
  const TemporaryFolder folder;
  const auto lines = folder.write("lines.txt", kLines);
  const auto pairs = folder.write("pairs.jsonl", kPairs);
  const auto empty = folder.write("empty.txt", "\n \n");
  const auto out = folder.file("vocab");
  const auto nothing = run({"tokenizer", "train", empty, "--out", out});
  EXPECT_EQ(nothing.code, 2);
  EXPECT_NE(nothing.err.find("no text"), std::string::npos) << nothing.err;
  EXPECT_EQ(run({"tokenizer", lines, "--out", out}).code, 2);
  EXPECT_EQ(run({"tokenizer", "train", lines}).code, 2);
  EXPECT_EQ(run({"tokenizer", "train", lines, "--out", lines}).code, 2);
  const auto small = run({"tokenizer", "train", lines, "--out", out, "--vocab-size", "9"});
  EXPECT_EQ(small.code, 2);
  EXPECT_NE(small.err.find("--vocab-size"), std::string::npos) << small.err;
  const auto field = run({"tokenizer", "train", pairs, "--out", out, "--field", "title"});
  EXPECT_EQ(field.code, 2);
  EXPECT_NE(field.err.find("it has query, pos"), std::string::npos) << field.err;
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"empty.txt", "lines.txt", "pairs.jsonl"}));
}

}  // namespace
}  // namespace akin::cli_test
