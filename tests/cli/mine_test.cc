// akin mine end to end with a real model: pairs in, rows with negatives out; the report, BEIR
// folders, bad input, a run that is killed.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "run_program.h"

namespace akin::cli_test {
namespace {

using nlohmann::json;

constexpr const char* kRows =
    R"({"query":"how do I boil an egg?","pos":["Put the egg into boiling water for six minutes."]}
{"query":"how do I fry an egg?","pos":["Heat oil in a pan and break the egg into it."]}
{"query":"How do I fry an  EGG?","pos":["Butter in a hot pan, then the egg, until the white is firm."]}
{"query":"what is the capital of France?","pos":["Paris is the capital of France."]}
{"query":"who painted the Mona Lisa?","pos":["Leonardo da Vinci painted the Mona Lisa in Florence."]}
)";

std::vector<json> lines_of(const std::string& text) {
  std::vector<json> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(json::parse(line));
  return out;
}

TEST(MineCommand, WritesRowsWithNegativesAndAReport) {
  const TemporaryFolder folder;
  const auto in = folder.write("pairs.jsonl", kRows);
  const auto more = folder.write(
      "more.txt",
      "put the EGG into boiling  water for six minutes.\nBread needs flour and water.\n");
  const auto out = folder.file("mined.jsonl");
  const auto done = run({"mine", in, "--corpus", more, "--model", kModel, "--out", out, "--range",
                         "0-10", "--negatives", "3", "--scores"});
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_NE(done.out.find("known answer"), std::string::npos) << done.out;
  const auto rows = lines_of(read(out));
  ASSERT_EQ(rows.size(), 5U);
  for (const auto& row : rows) {
    EXPECT_EQ(row["neg"].size(), row["neg_scores"].size());
    for (const auto& text : row["neg"]) EXPECT_NE(text, row["pos"][0]);
  }
  for (const size_t i : {1U, 2U}) {
    for (const auto& text : rows[i]["neg"]) {
      EXPECT_EQ(text.get<std::string>().find("pan"), std::string::npos) << text;
    }
  }
  const auto report = json::parse(read(out + ".report.json"));
  EXPECT_EQ(report["documents"], 6);
  EXPECT_EQ(report["document_variants_joined"], 1);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{
                                "mined.jsonl", "mined.jsonl.config.json", "mined.jsonl.report.html",
                                "mined.jsonl.report.json", "more.txt", "pairs.jsonl"}));
  EXPECT_EQ(run({"prep", "--check", out}).code, 0);  // what it writes can be read
}

TEST(MineCommand, ChecksWithoutWriting) {
  const TemporaryFolder folder;
  const auto in = folder.write("pairs.jsonl", kRows);
  const auto done = run({"mine", in, "--check", "--model", kModel, "--range", "0-10"});
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_NE(done.out.find("negative"), std::string::npos) << done.out;
  EXPECT_EQ(folder.names(), std::vector<std::string>{"pairs.jsonl"});
}

TEST(MineCommand, SearchesTheWholeCorpusOfABeirFolder) {
  const TemporaryFolder folder;
  folder.write("set/corpus.jsonl",
               "{\"_id\":\"a\",\"title\":\"Eggs\",\"text\":\"boil them\"}\n"
               "{\"_id\":\"b\",\"title\":\"\",\"text\":\"fry the eggs in a pan\"}\n"
               "{\"_id\":\"c\",\"title\":\"Bread\",\"text\":\"bake it\"}\n");
  folder.write("set/queries.jsonl", "{\"_id\":\"1\",\"text\":\"boiled eggs\"}\n");
  folder.write("set/qrels/train.tsv", "query-id\tcorpus-id\tscore\n1\ta\t1\n");
  const auto out = folder.file("mined.jsonl");
  const auto done = run({"mine", folder.file("set"), "--model", kModel, "--out", out, "--range",
                         "0-10", "--negatives", "2", "--share", "0", "--format", "pairs"});
  ASSERT_EQ(done.code, 0) << done.err;
  const auto rows = lines_of(read(out));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0]["positive"], "Eggs boil them");
  EXPECT_EQ(rows[0]["negatives"], json::parse("[\"fry the eggs in a pan\",\"Bread bake it\"]"));
}

TEST(MineCommand, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  const auto in = folder.write("pairs.jsonl", std::string(kRows) + "{\"query\":\n");
  const auto out = folder.file("mined.jsonl");
  const auto stopped = run({"mine", in, "--model", kModel, "--out", out});
  EXPECT_EQ(stopped.code, 1);
  EXPECT_NE(stopped.err.find("pairs.jsonl:6"), std::string::npos) << stopped.err;
  EXPECT_EQ(folder.names(), std::vector<std::string>{"pairs.jsonl"});
  EXPECT_EQ(run({"mine", in, "--model", kModel, "--out", out, "--skip-bad-rows"}).code, 0);
  EXPECT_EQ(run({"mine", in, "--model", kModel}).code, 2);
  EXPECT_EQ(run({"mine", "--model", kModel, "--out", out}).code, 2);
  const auto range = run({"mine", in, "--model", kModel, "--out", out, "--range", "200-2"});
  EXPECT_EQ(range.code, 2);
  EXPECT_NE(range.err.find("--range"), std::string::npos) << range.err;
  EXPECT_EQ(run({"mine", in, "--model", kModel, "--out", in}).code, 2);
  EXPECT_EQ(run({"mine", folder.file("none"), "--model", kModel, "--out", out}).code, 1);
}

TEST(MineCommand, EndsInTheSameBytesAfterBeingKilled) {
  const TemporaryFolder folder;
  std::string rows;
  for (size_t i = 0; i < 20'000; ++i) {
    const auto word = [&](size_t step) { return "w" + std::to_string(i * step % 1009); };
    rows += json{{"query", word(7) + " " + word(31) + " q" + std::to_string(i)},
                 {"pos", {word(7) + " " + word(31) + " " + word(57) + " p" + std::to_string(i)}}}
                .dump() +
            "\n";
  }
  const auto in = folder.write("pairs.jsonl", rows);
  const auto whole = folder.file("whole.jsonl"), out = folder.file("out.jsonl");
  const auto arguments = [&](const std::string& to, const char* threads) {
    return std::vector<std::string>{"mine",      in,      "--model",    kModel,
                                    "--out",     to,      "--sampling", "random",
                                    "--threads", threads, "--range",    "2-40"};
  };
  ASSERT_EQ(run(arguments(whole, "1")).code, 0);
  for (const int milliseconds : {20, 200, 500, 900, 1500, 2200}) {
    const auto killed = run({.arguments = arguments(out, "2"), .while_running = [&](int process) {
                               ::usleep(static_cast<useconds_t>(milliseconds) * 1000);
                               ::kill(process, SIGKILL);
                             }});
    if (killed.code == 0) break;
    ASSERT_EQ(killed.code, 128 + SIGKILL);
  }
  const auto done = run(arguments(out, "2"));
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_TRUE(read(out) == read(whole));
  EXPECT_FALSE(std::filesystem::exists(out + ".work"));
}

}  // namespace
}  // namespace akin::cli_test
