// akin compare end to end: the table, JSON, the report, and what goes wrong.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "run_program.h"

namespace akin::cli_test {
namespace {

using nlohmann::json;

std::string result(const std::string& task, double score) {
  return json({{"dataset_revision", "r"},
               {"task_name", task},
               {"mteb_version", "2.20.0"},
               {"scores",
                {{"test",
                  {{{"main_score", score},
                    {"hf_subset", "default"},
                    {"languages", {"eng-Latn"}}}}}}},
               {"evaluation_time", 1.0}})
      .dump();
}

void write_runs(const TemporaryFolder& folder) {
  folder.write("results/org__a/main/STS12.json", result("STS12", 0.7));
  folder.write("results/org__a/main/ArguAna.json", result("ArguAna", 0.5));
  folder.write("results/org__b/main/STS12.json", result("STS12", 0.75));
  folder.write("results/org__b/main/ArguAna.json", result("ArguAna", 0.4));
  folder.write("results/org__b/main/STS13.json", result("STS13", 0.4));
}

TEST(CompareCommand, PrintsTasksMeansAndDifferences) {
  const TemporaryFolder folder;
  write_runs(folder);
  const auto done =
      run({"compare", folder.file("results/org__a/main"), folder.file("results/org__b")});
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_NE(done.out.find("+5.00"), std::string::npos) << done.out;
  EXPECT_NE(done.out.find("-10.00"), std::string::npos) << done.out;
  EXPECT_NE(done.out.find("mean over 2 tasks"), std::string::npos) << done.out;
  EXPECT_NE(done.out.find("only in B (1): STS13"), std::string::npos) << done.out;
  EXPECT_NE(done.out.find("\"org/b\""), std::string::npos) << done.out;
}

TEST(CompareCommand, JsonAndReport) {
  const TemporaryFolder folder;
  write_runs(folder);
  const auto done = run({"compare", folder.file("results/org__a"), "published:all-MiniLM-L6-v2",
                         "--json", "--report", folder.file("report.html")});
  ASSERT_EQ(done.code, 0) << done.err;
  const auto out = json::parse(done.out);
  EXPECT_EQ(out["tasks"].size(), 2U);
  EXPECT_EQ(out["tasks"][0]["task"], "ArguAna");
  EXPECT_NEAR(out["tasks"][0]["b"].get<double>(), 0.50167, 1e-9);
  EXPECT_TRUE(read(folder.file("report.html")).starts_with("<!DOCTYPE html>"));
}

TEST(CompareCommand, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  write_runs(folder);
  EXPECT_EQ(run({"compare", folder.file("results/org__a")}).code, 2);
  const auto several = run({"compare", folder.file("results"), folder.file("results/org__b")});
  EXPECT_EQ(several.code, 2);
  EXPECT_NE(several.err.find("name one of them"), std::string::npos) << several.err;
  EXPECT_EQ(run({"compare", folder.file("none"), folder.file("results/org__b")}).code, 1);
  const auto bad = folder.write("results/org__c/main/STS12.json", "{\"scores\": 3}");
  const auto broken = run({"compare", bad, folder.file("results/org__b")});
  EXPECT_EQ(broken.code, 1);
  EXPECT_NE(broken.err.find("STS12.json"), std::string::npos) << broken.err;
}

}  // namespace
}  // namespace akin::cli_test
