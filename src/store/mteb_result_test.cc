// mteb's files: what Python writes is written to the byte, every old form is read, foreign bytes
// give errors.
#include "store/mteb_result.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "store/item_scores.h"
#include "store/test_files.h"

namespace akin::store {
namespace {

using Json = nlohmann::ordered_json;

std::string message_of(std::string_view json) {
  try {
    parse_task_result(json, "Some.json", "Some");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_format);
    return error.what();
  }
  return "no error";
}

TEST(PythonJson, SpellsAndRoundsFloatsAsPythonDoes) {
  const auto rows = Json::parse(read_file("tests/goldens/python_floats.json"));
  ASSERT_GT(rows.size(), 400U);
  for (const auto& row : rows) {
    const double x = std::bit_cast<double>(
        static_cast<uint64_t>(std::strtoull(row[0].get<std::string>().c_str(), nullptr, 16)));
    EXPECT_EQ(python_json(x), row[1]) << row[0];
    EXPECT_EQ(python_json(python_round(x, 6)), row[2]) << row[0];
  }
}

TEST(PythonJson, ReadsBareWordsOutsideStringsOnly) {
  const auto value = parse_python_json(
      R"({"NaN \" Infinity": [NaN, Infinity, -Infinity, "NaN"], "a": 1, "a": 2})", "x");
  const auto& list = value["NaN \" Infinity"];
  EXPECT_TRUE(std::isnan(list[0].get<double>()));
  EXPECT_EQ(list[1].get<double>(), INFINITY);
  EXPECT_EQ(list[2].get<double>(), -INFINITY);
  EXPECT_EQ(list[3], "NaN");
  EXPECT_EQ(value["a"], 2);
  EXPECT_EQ(value.size(), 2U);
}

TEST(TaskResult, IsWrittenToTheByte) {
  const auto result = parse_task_result(read_file("tests/goldens/mteb_result_full.json"), "full");
  const auto expected = read_file("tests/goldens/mteb_result_written.json");
  EXPECT_EQ(task_result_json(result), expected);
  EXPECT_EQ(task_result_json(parse_task_result(expected, "written")), expected);
  EXPECT_EQ(result.extra["akin"]["dims"], 64);
}

TEST(TaskResult, FileAppearsWholeAndReadsBack) {
  const TempFolder folder;
  const auto path = result_folder(folder.path(), "org/my model", "") / "STS12.json";
  EXPECT_EQ(path, folder.path() / "results/org__my_model/no_revision_available/STS12.json");
  std::filesystem::create_directories(path.parent_path());
  TaskResult result;
  result.task_name = "STS12";
  result.dataset_revision = "r";
  result.mteb_version = "2.20.0";
  result.scores.push_back({"test",
                           {{{"main_score", 0.72368999},
                             {"hf_subset", "default"},
                             {"languages", {"eng-Latn"}},
                             {"mteb_version", "2.20.0"}}}});
  result.evaluation_time = 3;
  write_task_result(path, result);
  const auto back = read_task_result(path);
  EXPECT_EQ(back.task_name, "STS12");
  EXPECT_EQ(back.evaluation_time, 3.0);
  ASSERT_NE(back.find_split("test"), nullptr);
  EXPECT_EQ(back.find_split("dev"), nullptr);
  EXPECT_EQ(main_score(back.scores[0].entries[0]), 0.72369);
  EXPECT_NE(read_file(path).find("\"evaluation_time\": 3.0,"), std::string::npos);
}

TEST(TaskResult, ReadsArraysNansAndMissingMembers) {
  const auto result = parse_task_result(
      R"({"dataset_revision": "x", "task_name": "SummEval", "mteb_version": "1.12.75",
          "scores": {"test": [
            {"pearson": [0.3, 0.01], "main_score": [0.31, 0.2], "hf_subset": "default", "languages": ["eng-Latn"]},
            {"main_score": NaN, "hf_subset": "b", "languages": []},
            {"main_score": null}]}, "evaluation_time": 9})",
      "SummEval.json");
  const auto& entries = result.scores.at(0).entries;
  EXPECT_EQ(main_score(entries[0]), 0.31);
  EXPECT_EQ(entries[0]["mteb_version"], "1.12.75");
  EXPECT_FALSE(main_score(entries[1]).has_value());
  EXPECT_FALSE(main_score(entries[2]).has_value());
  EXPECT_EQ(subset_name(entries[2]), "default");
  EXPECT_TRUE(result.date.is_null());
}

TEST(TaskResult, FlattensMeasuresOfPairClassification) {
  const auto result = parse_task_result(
      R"({"dataset_revision": null, "task_name": "Ocnli", "mteb_version": "1.12.3", "scores": {"validation": [
          {"cos_sim": {"ap": 0.7, "accuracy": 0.6}, "max": {"ap": 0.71}, "main_score": 0.6,
           "hf_subset": "default", "languages": ["cmn-Hans"]}]}, "evaluation_time": null})",
      "Ocnli.json");
  const auto& entry = result.scores[0].entries[0];
  EXPECT_EQ(entry.begin().key(), "cosine_ap");
  EXPECT_EQ(entry["max_ap"], 0.71);
  EXPECT_FALSE(entry.contains("cos_sim"));
  EXPECT_FALSE(result.evaluation_time.has_value());
}

TEST(TaskResult, ReadsTheFormBefore1_11) {
  const auto sts = parse_task_result(
      R"({"dataset_revision": null, "mteb_dataset_name": "BQ", "mteb_version": "1.0.2",
          "test": {"cos_sim": {"pearson": 0.45, "spearman": 0.4643}, "evaluation_time": 2.5,
                   "euclidean": {"pearson": 0.1, "spearman": 0.2}},
          "validation": {"cos_sim": {"spearman": 0.5}, "evaluation_time": 1.5}})",
      "BQ.json");
  EXPECT_EQ(sts.task_name, "BQ");
  EXPECT_EQ(sts.dataset_revision, "dataset revision not available");
  EXPECT_EQ(sts.evaluation_time, 4.0);
  ASSERT_EQ(sts.scores.size(), 2U);
  EXPECT_EQ(main_score(sts.scores[0].entries[0]), 0.4643);
  EXPECT_EQ(sts.scores[0].entries[0]["euclidean_spearman"], 0.2);

  const auto massive = parse_task_result(
      R"({"mteb_dataset_name": "MassiveIntentClassification", "mteb_version": "1.0.0",
          "test": {"evaluation_time": 7, "en": {"accuracy": 0.7, "f1": 0.6, "main_score": 0.7},
                   "zh-CN": {"accuracy": 0.5, "f1": 0.4}}})",
      "M.json");
  const auto& entries = massive.scores.at(0).entries;
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(subset_name(entries[1]), "zh-CN");
  EXPECT_EQ(main_score(entries[1]), 0.5);

  const auto reranking = parse_task_result(
      R"({"mteb_dataset_name": "CMedQAv1", "test": {"map": 0.8, "mrr": 0.9}})", "C.json");
  EXPECT_EQ(reranking.task_name, "CMedQAv1-reranking");
  EXPECT_EQ(main_score(reranking.scores[0].entries[0]), 0.8);

  const auto pairs = parse_task_result(
      R"({"mteb_dataset_name": "Cmnli", "validation": {"cos_sim": {"accuracy": 0.61, "ap": 0.7},
          "dot": {"accuracy": 0.63, "ap": 0.6}}})",
      "Cmnli.json");
  EXPECT_EQ(main_score(pairs.scores[0].entries[0]), 0.63);
}

TEST(TaskResult, BadFilesNameFileAndMember) {
  EXPECT_NE(message_of("{").find("Some.json"), std::string::npos);
  EXPECT_NE(message_of("[]").find("expected the object"), std::string::npos);
  EXPECT_NE(message_of("{}").find("not a result of mteb"), std::string::npos);
  EXPECT_NE(message_of(R"({"scores": {"test": 3}})").find("scores.test"), std::string::npos);
  EXPECT_NE(message_of(R"({"scores": {"test": [3]}})").find("scores.test"), std::string::npos);
  EXPECT_NE(message_of(R"({"task_name": 4, "scores": {}})").find("task_name"), std::string::npos);
  EXPECT_NE(message_of(R"({"mteb_dataset_name": 4})").find("mteb_dataset_name"), std::string::npos);
  EXPECT_NE(message_of(R"({"scores": {"t": [{"languages": 1}]}})").find("languages"),
            std::string::npos);
  EXPECT_NE(message_of(std::string(500, '[')).find("Some.json"), std::string::npos);
  EXPECT_NE(message_of(std::string(200, '[') + std::string(200, ']')).find("deeper"),
            std::string::npos);
  EXPECT_THROW(read_task_result("/nonexistent/X.json"), Error);
}

TEST(TaskResult, FolderNamesStayBelowTheRoot) {
  EXPECT_EQ(model_folder_name("BAAI/bge small"), "BAAI__bge_small");
  EXPECT_EQ(model_name_of_folder("BAAI__bge-small"), "BAAI/bge-small");
  EXPECT_EQ(model_name_of_folder("plain"), "plain");
  EXPECT_EQ(result_folder("r", "a/b", "refs/pr/1", "dims=64"),
            "r/results/a__b/refs__pr__1/experiments/dims=64");
  EXPECT_THROW(result_folder("r", "..", ""), Error);
  EXPECT_THROW(result_folder("r", "a", ".."), Error);
  EXPECT_THROW(result_folder("r", "", "x"), Error);
}

TEST(ModelMeta, KeepsOrderAndWhatItDoesNotKnow) {
  const TempFolder folder;
  ModelMeta meta;
  meta.name = "org/m";
  meta.revision = "r1";
  meta.n_parameters = 33000000;
  meta.max_tokens = INFINITY;
  meta.embed_dim = 384;
  meta.similarity_fn_name = "cosine";
  const auto path = folder.path() / "model_meta.json";
  write_model_meta(path, meta);
  const auto bytes = read_file(path);
  EXPECT_TRUE(bytes.starts_with("{\n    \"name\": \"org/m\",\n    \"revision\": \"r1\"")) << bytes;
  EXPECT_NE(bytes.find("\"max_tokens\": Infinity,"), std::string::npos);
  auto back = read_model_meta(path);
  EXPECT_EQ(back.max_tokens, INFINITY);
  EXPECT_EQ(back.embed_dim, 384U);
  back.all["something_new"] = 3;
  back.max_tokens = 512;
  const auto again = model_meta_json(back);
  EXPECT_NE(again.find("\"something_new\": 3"), std::string::npos);
  EXPECT_NE(again.find("\"max_tokens\": 512,"), std::string::npos);
}

TEST(ItemScores, ReadBackAndRefuseWhatDoesNotFit) {
  const TempFolder folder;
  EXPECT_TRUE(read_item_scores(folder.path(), "T").empty());
  ItemScores queries{.split = "test", .metric = "ndcg_at_10", .values = {0.5, 1, 1.0 / 3}};
  queries.ids = {"q1", "q2", "ü"};
  ItemScores pairs{.split = "test", .subset = "en", .metric = "cosine_spearman"};
  pairs.statistic = ItemStatistic::spearman;
  pairs.values = {0.1, 0.2};
  pairs.gold = {1, 5};
  write_item_scores(folder.path(), "T", {queries, pairs});
  const auto back = read_item_scores(folder.path(), "T");
  ASSERT_EQ(back.size(), 2U);
  EXPECT_EQ(back[0].values, queries.values);
  EXPECT_EQ(back[0].ids, queries.ids);
  EXPECT_EQ(back[1].gold, pairs.gold);
  EXPECT_EQ(back[1].statistic, ItemStatistic::spearman);
  write_file(item_scores_path(folder.path(), "T"),
             "{\"split\":\"a\",\"values\":[1],\"ids\":[]}\n"
             "{\"split\":\"a\",\"values\":[1],\"gold\":[2]}\n");
  try {
    read_item_scores(folder.path(), "T");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("T.jsonl:2"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace akin::store
