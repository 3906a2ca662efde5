// akin embed end to end on the shipped English model: every output form, every input form, and what
// goes wrong.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "run_program.h"
#include "store/vectors_file.h"

namespace akin::cli_test {
namespace {

using nlohmann::json;

std::vector<json> json_lines(const std::string& text) {
  std::vector<json> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out.push_back(json::parse(line));
  return out;
}

TEST(Embed, TextToJsonLines) {
  const auto result = run({"embed", "--model", kModel, "--text", "hello world", "--text", "a, b"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto rows = json_lines(result.out);
  ASSERT_EQ(rows.size(), 2U);
  const auto vector = rows[0].at("embedding").get<std::vector<double>>();
  ASSERT_EQ(vector.size(), 64U);
  double squares = 0;
  for (const double x : vector) squares += x * x;
  EXPECT_NEAR(squares, 1, 1e-5);
  EXPECT_NE(result.err.find("embedded 2 texts"), std::string::npos) << result.err;
}

TEST(Embed, GivesTheVectorOnRecordForTheShippedModel) {
  std::string text = "hello";
  for (int i = 1; i < 1000; ++i) text += " hello";
  const auto result = run({"embed", "--model", kModel, "--text", text});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto vector = json_lines(result.out).at(0).at("embedding").get<std::vector<double>>();
  EXPECT_NEAR(vector[0], -0.363402567303566, 1e-5);
  EXPECT_NEAR(vector[1], -0.17280622671667234, 1e-5);
  EXPECT_NEAR(vector[2], 0.39940570500107386, 1e-5);
}

TEST(Embed, NpyHoldsTheSameAsJsonLinesAndLeavesItsRecord) {
  const TemporaryFolder folder;
  const auto texts = folder.write("texts.txt", "first text\nsecond text\n\nfourth\n");
  ASSERT_EQ(run({"embed", "--model", kModel, texts, "--out", folder.file("v.npy")}).code, 0);
  const auto plain = run({"embed", "--model", kModel, texts});
  const auto matrix = store::read_npy(folder.file("v.npy"));
  const auto rows = json_lines(plain.out);
  ASSERT_EQ(matrix.rows(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t d = 0; d < 64; ++d)
      EXPECT_FLOAT_EQ(matrix(i, d), rows[i]["embedding"][d].get<float>());
  }
  const auto record = json::parse(read(folder.file("v.npy.config.json")));
  EXPECT_EQ(record.at("command"), "embed");
  EXPECT_EQ(record.at("options").at("truncate"), "error");
  EXPECT_EQ(record.at("options").at("out"), folder.file("v.npy"));
  EXPECT_EQ(record.at("result").at("texts"), matrix.rows());
  EXPECT_EQ(record.at("model").at("fingerprint").get<std::string>().size(), 32U);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"texts.txt", "v.npy", "v.npy.config.json"}));
}

TEST(Embed, RawFormsHaveTheirSizes) {
  const TemporaryFolder folder;
  const std::map<std::string, size_t> sizes = {
      {"v.f32", 256}, {"v.f16", 128}, {"v.i8", 64}, {"v.bin", 8}};
  for (const auto& [name, bytes] : sizes) {
    const auto result = run(
        {"embed", "--model", kModel, "--text", "one", "--text", "two", "--out", folder.file(name)});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(std::filesystem::file_size(folder.file(name)), 2 * bytes) << name;
  }
}

TEST(Embed, ReadsFieldsIdsAndStdin) {
  const Invocation piped{.arguments = {"embed", "--model", kModel, "-", "--input-format", "jsonl",
                                       "--field", "title,body", "--id-field", "key", "--with-text"},
                         .input =
                             "{\"key\":\"a1\",\"title\":\"red\",\"body\":\"fox\"}\n{\"key\":\"a2\","
                             "\"title\":\"\",\"body\":\"dog\"}\n"};
  const auto result = run(piped);
  ASSERT_EQ(result.code, 0) << result.err;
  const auto rows = json_lines(result.out);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].at("id"), "a1");
  EXPECT_EQ(rows[0].at("text"), "red fox");
  EXPECT_EQ(rows[1].at("text"), "dog");
}

TEST(Embed, BlocksAndThreadsDoNotChangeBytes) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 500; ++i) text += "row " + std::to_string(i * 7919 % 1000) + " of the test\n";
  const auto texts = folder.write("texts.txt", text);
  ASSERT_EQ(run({"embed", "--model", kModel, texts, "--out", folder.file("a.f32"), "--block", "7",
                 "--threads", "1"})
                .code,
            0);
  ASSERT_EQ(
      run({"embed", "--model", kModel, texts, "--out", folder.file("b.f32"), "--threads", "2"})
          .code,
      0);
  EXPECT_EQ(read(folder.file("a.f32")), read(folder.file("b.f32")));
}

TEST(Embed, TokensGiveOneVectorATokenOrSayTheyCannot) {
  const auto result = run({"embed", "--model", kModel, "--text", "hello world", "--tokens"});
  if (result.code != 0) {
    EXPECT_EQ(result.code, 1);
    EXPECT_NE(result.err.find("token"), std::string::npos) << result.err;
    return;
  }
  const auto rows = json_lines(result.out);
  EXPECT_EQ(rows.at(0).at("ids").size(), rows.at(0).at("vectors").size());
}

TEST(Embed, DryRunWritesNothing) {
  const TemporaryFolder folder;
  const auto result =
      run({"embed", "--model", kModel, "--text", "x", "--out", folder.file("v.npy"), "--dry-run"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out).at("model").at("dims"), 64);
  EXPECT_TRUE(folder.names().empty());
}

TEST(Embed, HostileTextIsEmbeddedAndCounted) {
  std::string text = "bad \xff\xfe bytes\n";
  text += std::string("nul \0 inside\n", 13);
  text += "\xed\xa0\x80 surrogate\n\n";
  const auto result =
      run(Invocation{.arguments = {"embed", "--model", kModel, "-"}, .input = text});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("invalid UTF-8"), std::string::npos) << result.err;
  for (const auto& row : json_lines(result.out)) {
    for (const auto& x : row.at("embedding")) EXPECT_TRUE(std::isfinite(x.get<double>()));
  }
}

TEST(Embed, ZeroVectorsAreCounted) {
  const auto done = run({"embed", "--model", kChineseModel, "--text", "你好", "--text", "😀"});
  EXPECT_EQ(done.code, 0);
  EXPECT_NE(done.err.find("1 zero vectors, such as of texts without a known token"),
            std::string::npos)
      << done.err;
}

TEST(Embed, AHundredMegabyteLineIsABadRow) {
  const TemporaryFolder folder;
  folder.write("long.txt", "first\n" + std::string(100 << 20, 'a') + "\nlast\n");
  const auto refused =
      run({"embed", "--model", kModel, folder.file("long.txt"), "--out", folder.file("v.npy")});
  EXPECT_EQ(refused.code, 1) << refused.err;
  EXPECT_NE(refused.err.find("long.txt:2"), std::string::npos) << refused.err;
  const auto skipped = run({"embed", "--model", kModel, folder.file("long.txt"), "--skip-bad-rows",
                            "--out", folder.file("v.npy")});
  EXPECT_EQ(skipped.code, 0) << skipped.err;
  EXPECT_NE(skipped.err.find("1 bad rows skipped"), std::string::npos) << skipped.err;
  EXPECT_EQ(store::read_npy(folder.file("v.npy")).rows(), 2U);
}

TEST(Embed, FullDiskIsAFailureWithItsReason) {
  const auto result = run(Invocation{.arguments = {"embed", "--model", kModel, "--text", "hello"},
                                     .stdout_to = "/dev/full"});
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("No space left"), std::string::npos) << result.err;
}

// Gives the program many texts on stdin, and the signal while it embeds them.
void keep_busy_until(Invocation& invocation, int texts, int signal) {
  for (int i = 0; i < texts; ++i)
    invocation.input += "some text that takes a little while to embed\n";
  invocation.while_running = [signal](int process) {
    std::thread([process, signal] {
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
      ::kill(process, signal);
    }).detach();
  };
}

TEST(Embed, InterruptLeavesNoHalfFile) {
  const TemporaryFolder folder;
  // stdin stays open and silent after two rows, so the program is in the middle of its work.
  Invocation endless{.arguments = {"embed", "--model", kModel, "-", "--out", folder.file("v.npy"),
                                   "--block", "1000"}};
  keep_busy_until(endless, 200000, SIGINT);
  const auto result = run(endless);
  if (result.code == 0)
    GTEST_SKIP() << "skipped: the machine embedded everything before the signal";
  EXPECT_EQ(result.code, 130) << result.err;
  EXPECT_NE(result.err.find("interrupted"), std::string::npos) << result.err;
  EXPECT_TRUE(folder.names().empty());
}

TEST(Embed, ClosedPipeEndsQuietly) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "line\n";
  const auto texts = folder.write("texts.txt", text);
  const std::string command = std::string(AKIN_PROGRAM) + " embed --quiet --model " + kModel + " " +
                              texts + " 2> " + folder.file("err") +
                              " | head -n 1 > /dev/null; exit ${PIPESTATUS[0]}";
  EXPECT_EQ(std::system(("bash -c '" + command + "'").c_str()), 0);
  EXPECT_EQ(read(folder.file("err")), "");
}

TEST(Embed, WrongUsageNamesWhatIsWrong) {
  struct Case {
    std::vector<std::string> arguments;
    int code;
    std::string words;
  };
  const TemporaryFolder folder;
  const std::vector<Case> cases = {
      {{"embed", "--text", "x"}, 2, "--model"},
      {{"embed", "--model", kModel, "--text", "x", "--truncat", "left"},
       2,
       "did you mean --truncate?"},
      {{"embed", "--model", kModel, "--text", "x", "--truncate", "centre"},
       2,
       "error, right, left, middle, chunk"},
      {{"embed", "--model", kModel, "--text", "x", "--threads", "-3"}, 2, "--threads"},
      {{"embed", "--model", kModel, "--text", "x", "--threads", "two"}, 2, "whole number"},
      {{"embed", "--model", kModel, "--text", "x", "--dims", "65"}, 2, "64"},
      {{"embed", "--model", kModel, "--text", "x", "--dims", "32"}, 2, "allow-any-dims"},
      {{"embed", "--model", kModel, "--text", "x", "--pooling", "max"}, 2, "was made with mean"},
      {{"embed", "--model", kModel, "x", "--late-chunking", "--truncate", "middle"},
       2,
       "no neighbours"},
      {{"embed", "--model", kModel, "--text", "x", "--threads", "9999999"}, 2, "at most 4096"},
      {{"embed", "--model", kModel, "--text", "x", "--prompt-name", "query"}, 1, "prompt"},
      {{"embed", "--model", kModel, "--text", "x", "--task", "retrieval"}, 1, "task"},
      {{"embed", "--model", kModel, "--text", "x", "--out", folder.file("v.parquet")}, 2, ".npy"},
      {{"embed", "--model", kModel, "--text", "x", "--out", folder.file("no/such/v.npy")},
       2,
       "no/such"},
      {{"embed", "--model", kModel, folder.file("missing.txt")}, 1, "missing.txt"},
      {{"embed", "--model", folder.file("nowhere"), "--text", "x"}, 1, "nowhere"},
      {{"embed", "--model", folder.path().string(), "--text", "x"}, 1, folder.path().string()},
      {{"embed", "--model", kModel, "--text"}, 2, "--text"},
      {{"embde"}, 2, "did you mean \"embed\"?"},
  };
  for (const auto& c : cases) {
    const auto result = run(c.arguments);
    EXPECT_EQ(result.code, c.code) << result.err;
    EXPECT_NE(result.err.find(c.words), std::string::npos) << c.words << " in: " << result.err;
    EXPECT_EQ(result.out, "");
  }
}

TEST(Embed, RefusesWhatItWouldNotDo) {
  const TemporaryFolder folder;
  const auto texts = folder.write("texts.txt", "one\ntwo\n");
  std::filesystem::create_symlink(texts, folder.path() / "link.jsonl");
  struct Case {
    std::vector<std::string> arguments;
    std::string words;
  };
  const std::vector<Case> cases = {
      {{"--tokens", "--out", folder.file("v.npy")}, "--tokens: is JSONL"},
      {{"--tokens", "--format", "raw"}, "--tokens: is JSONL"},
      {{"--tokens", "--dims", "8"}, "--dims"},
      {{"--tokens", "--output-dtype", "int8"}, "--output-dtype"},
      {{"--tokens", "--late-chunking"}, "two outputs"},
      {{"--with-text", "--out", folder.file("v.npy")}, "--with-text: cannot be held"},
      {{"--id-field", "id", "--out", folder.file("v.f32")}, "--id-field: cannot be held"},
      {{"--late-chunking", "--out", folder.file("v.npy")}, "names its chunks"},
      {{"--chunk-tokens", "8"}, "is for --late-chunking"},
      {{"--format", "jsonl", "--out", folder.file("v.npy")}, "contradicts the ending"},
      {{"--output-dtype", "int8", "--out", folder.file("v.f16")}, "contradicts the ending"},
      {{"--prompt", "a", "--prompt-name", "b"}, "two prompts"},
      {{"--out", texts, "--format", "npy"}, "is an input, too"},
      {{"--out", folder.file("link.jsonl")}, "is an input, too"},
  };
  for (const auto& c : cases) {
    std::vector<std::string> arguments = {"embed", "--model", kModel, texts};
    arguments.insert(arguments.end(), c.arguments.begin(), c.arguments.end());
    const auto result = run(arguments);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_NE(result.err.find(c.words), std::string::npos) << c.words << " in: " << result.err;
  }
  EXPECT_EQ(read(texts), "one\ntwo\n");
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"link.jsonl", "texts.txt"}));
}

TEST(Embed, AFolderSaysWhatItLeavesOut) {
  const TemporaryFolder folder;
  folder.write("docs/rows.jsonl", "{}\n");
  const auto none = run({"embed", "--model", kModel, folder.file("docs")});
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.err.find("no .txt and no .md file"), std::string::npos) << none.err;
  folder.write("docs/a.txt", "a text");
  const auto one = run({"embed", "--model", kModel, folder.file("docs")});
  EXPECT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(json_lines(one.out).size(), 1U);
  EXPECT_NE(one.err.find("files left out: 1"), std::string::npos) << one.err;
}

TEST(Embed, WordsBehindTwoDashesAreFiles) {
  const TemporaryFolder folder;
  folder.write("--json", "first\n");
  folder.write("b.txt", "second\n");
  const std::string command = std::string("cd ") + folder.path().string() + "; " + AKIN_PROGRAM +
                              " embed --quiet --model $OLDPWD/" + kModel +
                              " b.txt --with-text -- --json > out";
  ASSERT_EQ(std::system(("bash -c '" + command + "'").c_str()), 0);
  const auto rows = json_lines(read(folder.file("out")));
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].at("text"), "second");
  EXPECT_EQ(rows[1].at("text"), "first");
  const auto texts = run({"similarity", "--model", kModel, "--", "-x", "--quiet"});
  EXPECT_EQ(texts.code, 0) << texts.err;
  EXPECT_EQ(run({"help", "embed", "--", "search"}).code, 2);
}

TEST(Embed, AHangUpEndsItLikeAnInterrupt) {
  Invocation waiting{.arguments = {"embed", "--model", kModel, "-"}};
  keep_busy_until(waiting, 400000, SIGHUP);
  const auto result = run(waiting);
  if (result.code == 0)
    GTEST_SKIP() << "skipped: the machine embedded everything before the signal";
  EXPECT_EQ(result.code, 130) << result.err;
}

TEST(Embed, AFileOverTheLimitIsAnError) {
  const TemporaryFolder folder;
  const std::string command = std::string("ulimit -f 1; ") + AKIN_PROGRAM + " embed --model " +
                              kModel + " README.md --out " + folder.file("v.npy") + " 2> " +
                              folder.file("err");
  EXPECT_EQ(WEXITSTATUS(std::system(("bash -c '" + command + "'").c_str())), 1);
  EXPECT_NE(read(folder.file("err")).find("File too large"), std::string::npos);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"err"}));
}

TEST(Embed, ErrorsAreJsonOnRequest) {
  const auto result = run({"embed", "--json", "--model", kModel, "--text", "x", "--dims", "65"});
  EXPECT_EQ(result.code, 2);
  EXPECT_EQ(json::parse(result.err).at("error").at("kind"), "usage");
}

TEST(Embed, EnvironmentGivesFlagsAndFlagsWin) {
  Invocation with{
      .arguments = {"embed", "--text", "x", "--dry-run"},
      .environment = {{"AKIN_MODEL", kModel}, {"AKIN_NORMALIZE", "false"}, {"AKIN_BLOCK", "5"}}};
  auto result = run(with);
  ASSERT_EQ(result.code, 0) << result.err;
  auto options = json::parse(result.out).at("options");
  EXPECT_EQ(options.at("normalize"), false);
  EXPECT_EQ(options.at("block"), 5);
  with.arguments = {"embed", "--text", "x", "--dry-run", "--normalize", "--block", "6"};
  result = run(with);
  ASSERT_EQ(result.code, 0) << result.err;
  options = json::parse(result.out).at("options");
  EXPECT_EQ(options.at("normalize"), true);
  EXPECT_EQ(options.at("block"), 6);
}

}  // namespace
}  // namespace akin::cli_test
