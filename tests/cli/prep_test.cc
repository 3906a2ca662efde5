// akin prep end to end: dirty pairs in, clean ones out; the report, bad rows, evaluation texts, a
// run that is killed.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "run_program.h"

namespace akin::cli_test {
namespace {

using nlohmann::json;

constexpr const char* kPairs =
    "{\"query\":\" What is  red?\",\"pos\":[\"A colour.\"],\"neg\":[\"A fish.\"]}\n"
    "{\"query\":\"what is red?\",\"pos\":[\"a COLOUR.\"],\"neg\":[\"a fish.\"]}\n"
    "{\"query\":\"same\",\"pos\":[\"Same\"],\"neg\":[]}\n"
    "{\"query\":\"\",\"pos\":[\"x\"],\"neg\":[]}\n"
    "{\"query\":\"Who plays?\",\"pos\":[\"A man is playing a guitar.\"],\"neg\":[]}\n"
    "{\"query\":\"last\",\"pos\":[\"one\",\"two\"],\"neg\":[]}\n";

std::string many_pairs(size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    const std::string n = std::to_string(i * 7919 % (count / 2 + 1));
    out += R"({"text":"question number )" + n + R"(","text_pos":"answer )" + n + "\"}\n";
  }
  return out;
}

TEST(PrepCommand, CleansAndReports) {
  const TemporaryFolder folder;
  const auto in = folder.write("pairs.jsonl", kPairs);
  const auto eval = folder.write("sts.tsv", "s1\ts2\na man is playing a guitar\tx y z\n");
  const auto out = folder.file("clean.jsonl");
  const auto done = run({"prep", in, "--out", out, "--eval-texts", eval});
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(read(out),
            "{\"query\":\"What is red?\",\"positive\":\"A colour.\",\"negatives\":[\"A fish.\"],"
            "\"source\":\"pairs\"}\n"
            "{\"query\":\"last\",\"positive\":\"one\",\"source\":\"pairs\"}\n"
            "{\"query\":\"last\",\"positive\":\"two\",\"source\":\"pairs\"}\n");
  EXPECT_NE(done.out.find("3 of 7 records stay"), std::string::npos) << done.out;
  const auto removed = json::parse(read(out + ".removed.jsonl"));
  EXPECT_EQ(removed["filter"], "contamination");
  EXPECT_EQ(removed["row"], 5);
  EXPECT_EQ(removed["record"]["query"], "Who plays?");
  EXPECT_NE(removed["match"].get<std::string>().find("sts.tsv:2"), std::string::npos);
  const auto report = json::parse(read(out + ".report.json"));
  EXPECT_EQ(report["filters"].size(), 4U);
  EXPECT_EQ(report["filters"][2]["reasons"]["repeated"]["samples"][0]["row"], 2);
  EXPECT_EQ(folder.names(),
            (std::vector<std::string>{"clean.jsonl", "clean.jsonl.config.json",
                                      "clean.jsonl.removed.jsonl", "clean.jsonl.report.html",
                                      "clean.jsonl.report.json", "pairs.jsonl", "sts.tsv"}));
}

// All filters for rows of one text; what was written is read again, to the same bytes.
void clean_rows(const std::string& in, const std::string& eval, const std::string& out) {
  const auto done = run({"prep", in, "--out", out, "--filters", "normalise,length,dedup,near",
                         "--min-chars", "3", "--eval-texts", eval});
  ASSERT_EQ(done.code, 0) << done.err;
  const std::string again = out + ".again.jsonl";
  ASSERT_EQ(run({"prep", out, "--out", again}).code, 0);
  EXPECT_EQ(read(again), read(out));
}

TEST(PrepCommand, CleansSingleTexts) {
  const TemporaryFolder folder;
  const auto in = folder.write("texts.jsonl",
                               "{\"text\":\" A  river runs.\"}\n{\"text\":\"a river RUNS.\"}\n"
                               "{\"text\":\"One two three four five six seven eight nine.\"}\n"
                               "{\"text\":\"One two three four five six seven eight, nine!\"}\n"
                               "{\"text\":\"x\"}\n{\"text\":\"A man is playing a guitar.\"}\n"
                               "{\"text\":\"The last.\"}\n");
  const auto eval = folder.write("sts.tsv", "s1\ts2\na man is playing a guitar\tx y z\n");
  const auto out = folder.file("clean.jsonl");
  ASSERT_NO_FATAL_FAILURE(clean_rows(in, eval, out));
  EXPECT_EQ(read(out),
            "{\"text\":\"A river runs.\",\"source\":\"texts\"}\n"
            "{\"text\":\"One two three four five six seven eight nine.\",\"source\":\"texts\"}\n"
            "{\"text\":\"The last.\",\"source\":\"texts\"}\n");
  const auto removed = json::parse(read(out + ".removed.jsonl"));
  EXPECT_EQ(removed["record"]["text"], "A man is playing a guitar.");
  const auto sides = run({"prep", in, "--out", out, "--filters", "overlap,dedup"});
  EXPECT_EQ(sides.code, 2);
  EXPECT_NE(sides.err.find("overlap compares the sides of a pair"), std::string::npos) << sides.err;
  const auto pairs = folder.write("pairs.jsonl", kPairs);
  const auto mixed = run({"prep", in, pairs, "--out", out});
  EXPECT_EQ(mixed.code, 2);
  EXPECT_NE(mixed.err.find("single texts"), std::string::npos) << mixed.err;
}

TEST(PrepCommand, CleansTextsWithAClass) {
  const TemporaryFolder folder;
  const auto in = folder.write("intents.csv",
                               "text,label\n\" Where is  my card? \",card\nwhere is my CARD?,card\n"
                               "Where is my card?,delivery\nx,card\n"
                               "a man is playing a guitar,7\nThe last.,7\n");
  // 7 is a text of the evaluation set, too, but a class is no text.
  const auto eval = folder.write("sts.tsv", "s1\ts2\nA man is playing a guitar\t7\n");
  const auto out = folder.file("clean.jsonl");
  ASSERT_NO_FATAL_FAILURE(clean_rows(in, eval, out));
  EXPECT_EQ(read(out),
            "{\"text\":\"Where is my card?\",\"label\":\"card\",\"source\":\"intents\"}\n"
            "{\"text\":\"Where is my card?\",\"label\":\"delivery\",\"source\":\"intents\"}\n"
            "{\"text\":\"The last.\",\"label\":\"7\",\"source\":\"intents\"}\n");
  const auto removed = json::parse(read(out + ".removed.jsonl"));
  EXPECT_EQ(removed["record"]["label"], "7");
  const auto shown = run({"prep", in, "--check"});
  EXPECT_NE(shown.out.find("text, label (the class)"), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("class      delivery"), std::string::npos) << shown.out;
  const auto labels = run({"prep", in, "--out", out, "--labels", "card=1,delivery=0,7=drop"});
  EXPECT_EQ(labels.code, 2);
  EXPECT_NE(labels.err.find("texts with a class"), std::string::npos) << labels.err;
}

TEST(PrepCommand, CountsRowsDroppedByLabel) {
  const TemporaryFolder folder;
  const auto in = folder.write("nli.jsonl",
                               "{\"sentence1\":\"a b\",\"sentence2\":\"c d\",\"label\":1}\n"
                               "{\"sentence1\":\"e\",\"sentence2\":\"f\",\"label\":0}\n"
                               "{\"sentence1\":\"g\",\"sentence2\":\"h\",\"label\":0}\n");
  const auto out = folder.file("clean.jsonl");
  const auto done = run({"prep", in, "--out", out, "--labels", "1=1,0=drop"});
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_NE(done.err.find("2 of 3 rows were dropped by their label"), std::string::npos)
      << done.err;
  EXPECT_EQ(json::parse(read(out + ".report.json"))["inputs"][0]["dropped_rows"], 2);
  EXPECT_NE(read(out + ".report.html").find("rows dropped by label"), std::string::npos);
}

TEST(PrepCommand, ChecksWithoutWriting) {
  const TemporaryFolder folder;
  const auto in = folder.write("pairs.jsonl", kPairs);
  const auto done = run({"prep", "--check", in});
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_NE(done.out.find("query, pos, neg"), std::string::npos) << done.out;
  EXPECT_NE(done.out.find("A fish."), std::string::npos) << done.out;
  EXPECT_EQ(folder.names(), std::vector<std::string>{"pairs.jsonl"});
  const auto lines = run({"prep", "--check", "--json", in});
  EXPECT_EQ(json::parse(lines.out.substr(0, lines.out.find('\n')))["negatives"][0], "A fish.");
}

TEST(PrepCommand, StopsAtBadRowsOrSkipsThem) {
  const TemporaryFolder folder;
  const auto in = folder.write("pairs.jsonl", std::string(kPairs) + "{\"query\":\n");
  const auto out = folder.file("clean.jsonl");
  const auto stopped = run({"prep", in, "--out", out});
  EXPECT_EQ(stopped.code, 1);
  EXPECT_NE(stopped.err.find("pairs.jsonl:7"), std::string::npos) << stopped.err;
  EXPECT_EQ(folder.names(), std::vector<std::string>{"pairs.jsonl"});
  const auto skipped = run({"prep", in, "--out", out, "--skip-bad-rows", "--json"});
  ASSERT_EQ(skipped.code, 0) << skipped.err;
  const auto report = json::parse(skipped.out);
  EXPECT_EQ(report["inputs"][0]["bad_rows"], 1);
  EXPECT_NE(skipped.err.find("pairs.jsonl:7"), std::string::npos) << skipped.err;
}

TEST(PrepCommand, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  const auto in = folder.write("pairs.jsonl", kPairs);
  EXPECT_EQ(run({"prep", in}).code, 2);
  EXPECT_EQ(run({"prep", "--out", folder.file("x.jsonl")}).code, 2);
  const auto unknown = run({"prep", in, "--out", folder.file("x"), "--filters", "dedupe"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("normalise, length, language, overlap, dedup, near"),
            std::string::npos)
      << unknown.err;
  EXPECT_EQ(run({"prep", folder.file("none.jsonl"), "--out", folder.file("x")}).code, 1);
  const auto list = run({"prep", "--list"});
  EXPECT_NE(list.out.find("contamination"), std::string::npos);
  const auto full = run({.arguments = {"prep", "--check", in}, .stdout_to = "/dev/full"});
  EXPECT_EQ(full.code, 1);
}

TEST(PrepCommand, FiltersLanguagesAndNearDuplicates) {
  const TemporaryFolder folder;
  const std::string answer = "The committee met on Thursday to discuss the budget of the coming ";
  const auto in = folder.write(
      "pairs.csv",
      "query,positive\nwhat did the committee do on Thursday?," + answer + "year\n" +
          "What did the committee do on Thursday?,\"" + answer + "year.\"\n" +
          "what did the committee do on Thursday?,Der Ausschuss hat sich am Donnerstag "
          "getroffen und beraten\n" +
          "how many?," + answer + "year\n");
  const auto out = folder.file("clean.jsonl");
  const auto done = run({"prep", in, "--out", out, "--languages", "en", "--filters",
                         "normalise,near,language", "--list-removed", "near,language"});
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_NE(done.out.find("nearly equal 1"), std::string::npos) << done.out;
  EXPECT_NE(done.out.find("positive in de 1"), std::string::npos) << done.out;
  EXPECT_NE(done.out.find("kept: language not clear 1"), std::string::npos) << done.out;
  EXPECT_EQ(run({"prep", in, "--out", out, "--filters", "consistency"}).code, 2);
  EXPECT_EQ(run({"prep", in, "--out", out, "--languages", "english"}).code, 2);
}

TEST(PrepCommand, EndsInTheSameBytesAfterBeingKilled) {
  const TemporaryFolder folder;
  const auto in = folder.write("pairs.jsonl", many_pairs(120'000));
  const auto whole = folder.file("whole.jsonl"), out = folder.file("out.jsonl");
  ASSERT_EQ(run({"prep", in, "--out", whole}).code, 0);
  for (const int milliseconds : {5, 40, 80, 120, 160, 200, 240, 280}) {
    const auto killed = run({.arguments = {"prep", in, "--out", out, "--threads", "2"},
                             .while_running = [&](int process) {
                               ::usleep(static_cast<useconds_t>(milliseconds) * 1000);
                               ::kill(process, SIGKILL);
                             }});
    if (killed.code == 0) break;
    ASSERT_EQ(killed.code, 128 + SIGKILL);
  }
  const auto done = run({"prep", in, "--out", out});
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_TRUE(read(out) == read(whole));
  EXPECT_FALSE(std::filesystem::exists(out + ".work"));
}

TEST(PrepCommand, LeavesNothingOfAKilledRunBeside) {
  const TemporaryFolder folder;
  const auto in = folder.write("pairs.jsonl", many_pairs(10)), out = folder.file("out.jsonl");
  folder.write("out.jsonl.2147483647.tmp", "half");  // no process has the greatest number
  folder.write("out.jsonl.x.tmp", "another's");
  ASSERT_EQ(run({"prep", in, "--out", out}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(out + ".2147483647.tmp"));
  EXPECT_TRUE(std::filesystem::exists(out + ".x.tmp"));
  const auto below = run({"prep", in, "--out", in + "/x"});
  EXPECT_EQ(below.code, 2);
  EXPECT_NE(below.err.find("there is no folder"), std::string::npos) << below.err;
}

TEST(PrepCommand, SaysThatTheSameCommandGoesOn) {
  const TemporaryFolder folder;
  const auto in = folder.write("pairs.jsonl", many_pairs(120'000)), out = folder.file("out.jsonl");
  const auto stopped = run({.arguments = {"prep", in, "--out", out, "--threads", "1"},
                            .while_running = [&](int process) {
                              for (int i = 0; i < 5000; ++i) {
                                const std::string state = read(out + ".work/state.json");
                                if (state.find("records_out") != std::string::npos) break;
                                ::usleep(1000);
                              }
                              ::kill(process, SIGINT);
                            }});
  if (stopped.code == 0) GTEST_SKIP() << "the last pass was faster than the signal";
  EXPECT_EQ(stopped.code, 130);
  EXPECT_NE(stopped.err.find("the same command goes on"), std::string::npos) << stopped.err;
  EXPECT_EQ(run({"prep", in, "--out", out}).code, 0);
}

}  // namespace
}  // namespace akin::cli_test
