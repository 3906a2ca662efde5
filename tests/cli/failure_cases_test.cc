// akin mine --failure-cases end to end: rows that training reads, a set that akin eval scores as it
// is written, and --rope-base where a model has no rotary positions.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "run_program.h"

namespace akin::cli_test {
namespace {

using nlohmann::json;

std::string rows() {
  std::string out;
  for (int i = 0; i < 80; ++i) {
    const std::string name = "Borin" + std::to_string(i) + " Kastel" + std::to_string(i);
    out += json{{"query", "history of " + name},
                {"pos", {name + " is a village near the river Otta. It has a mill and a school."}}}
               .dump() +
           "\n";
  }
  return out;
}

TEST(FailureCases, RowsAndASetThatEvalReads) {
  const TemporaryFolder folder;
  const auto in = folder.write("pairs.jsonl", rows());
  const auto out = folder.file("failures.jsonl");
  const auto made = run({"mine", in, "--failure-cases", "all", "--out", out, "--eval-set",
                         folder.file("held"), "--hold-out", "0.3", "--negatives", "3"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_NE(made.out.find("low-quality"), std::string::npos) << made.out;
  EXPECT_EQ(run({"prep", "--check", out}).code, 0);
  const auto report = json::parse(read(out + ".report.json"));
  EXPECT_EQ(report["rows"], 80);
  for (const auto& found : report["cases"]) {
    EXPECT_GT(found["lines"], 0) << found["case"];
    EXPECT_GT(found["lines_held_out"], 0) << found["case"];
  }
  const auto scored =
      run({"eval", "--model", kModel, "--tasks-file", folder.file("held/tasks.toml"), "--data",
           folder.path().string(), "--out", folder.file("eval"), "--no-cache"});
  ASSERT_EQ(scored.code, 0) << scored.err;
  for (const char* name : {"look-alike", "entity", "polar", "low-quality"}) {
    EXPECT_NE(scored.out.find(name), std::string::npos) << scored.out;
  }
}

TEST(FailureCases, CheckWritesNothingAndUnknownCasesAreNamed) {
  const TemporaryFolder folder;
  const auto in = folder.write("pairs.jsonl", rows());
  const auto shown = run({"mine", in, "--failure-cases", "polar", "--check"});
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find("a village near the river Otta?"), std::string::npos) << shown.out;
  const auto unknown = run({"mine", in, "--failure-cases", "polars", "--check"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("low-quality"), std::string::npos) << unknown.err;
  EXPECT_EQ(folder.names(), std::vector<std::string>{"pairs.jsonl"});
}

TEST(RopeBase, IsRefusedWithoutRotaryPositions) {
  const auto refused =
      run({"embed", "--model", kModel, "--rope-base", "20000", "--text", "a first text"});
  EXPECT_NE(refused.code, 0);
  EXPECT_NE(refused.err.find("rotary"), std::string::npos) << refused.err;
  const auto server = run({"serve", "--model", kModel, "--rope-base", "20000", "--port", "0"});
  EXPECT_NE(server.code, 0);
  EXPECT_NE(server.err.find("rotary"), std::string::npos) << server.err;
}

}  // namespace
}  // namespace akin::cli_test
