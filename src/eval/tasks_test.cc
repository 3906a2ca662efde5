// The task types on small datasets and an encoder whose vectors are known; what they do with broken
// ones; the TOML form; the tables of the benchmarks.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "eval/benchmarks.h"
#include "eval/test_task.h"

namespace akin::eval {
namespace {

const std::string kSts = "type = \"STS\"\ndataset = \"set\"\n";

TEST_F(TaskTest, StsRanksPairs) {
  write("test.jsonl",
        "{\"sentence1\":\"a b\",\"sentence2\":\"a b\",\"score\":5}\n"
        "{\"sentence1\":\"a b\",\"sentence2\":\"a c\",\"score\":3}\n"
        "{\"sentence1\":\"a b\",\"sentence2\":\"d e\",\"score\":0}\n");
  EXPECT_NEAR(metric(kSts, "cosine_spearman"), 1, 1e-12);
  EXPECT_NEAR(metric(kSts, "euclidean_spearman"), 1, 1e-12);
  const auto both = score(kSts, {8, 4});
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(both[0].items->values.size(), 3U);
}

TEST_F(TaskTest, StsNamesTheColumnThatIsMissing) {
  write("test.jsonl", "{\"s1\":\"a\",\"sentence2\":\"b\",\"score\":5}\n");
  expect_words(error_of(kSts), {"test.jsonl", "sentence1", "s1"});
}

TEST_F(TaskTest, StsRefusesScoresThatAreAllEqual) {
  write("test.jsonl",
        "{\"sentence1\":\"a\",\"sentence2\":\"b\",\"score\":5}\n"
        "{\"sentence1\":\"a\",\"sentence2\":\"c\",\"score\":5}\n");
  expect_words(error_of(kSts), {"test.jsonl:2", "columns.score"});
}

TEST_F(TaskTest, AnEmptySplitIsAnError) {
  write("test.jsonl", "\n");
  const auto message = error_of(kSts + "files = { rows = \"test.jsonl\" }\n");
  expect_words(message, {"test.jsonl"});
}

TEST_F(TaskTest, PairClassificationTakesListsAndLabelMaps) {
  write("test.jsonl",
        "{\"sent1\":[\"a b\",\"a b\"],\"sent2\":[\"a b\",\"d e\"],\"labels\":[1,0]}\n");
  const std::string toml = "type = \"PairClassification\"\ndataset = \"set\"\n";
  EXPECT_NEAR(metric(toml, "max_ap"), 1, 1e-12);
  write("test.jsonl",
        "{\"s1\":\"a b\",\"s2\":\"a b\",\"label\":\"entailment\"}\n"
        "{\"s1\":\"a b\",\"s2\":\"a c\",\"label\":\"neutral\"}\n"
        "{\"s1\":\"a b\",\"s2\":\"d e\",\"label\":\"contradiction\"}\n");
  const std::string columns =
      "columns = { sentence1 = \"s1\", sentence2 = \"s2\", labels = \"label\" }\n";
  expect_words(error_of(toml + columns), {"test.jsonl:1", "entailment", "label_map"});
  EXPECT_NEAR(metric(toml + columns + "label_map = { entailment = 1, contradiction = 0 }\n",
                     "max_accuracy"),
              0.5, 0.51);
}

void write_collection(const std::function<void(const std::string&, const std::string&)>& write) {
  write("corpus.jsonl",
        "{\"_id\":\"d1\",\"title\":\"a\",\"text\":\"b\"}\n"
        "{\"_id\":\"d2\",\"title\":\"\",\"text\":\" c d \"}\n"
        "{\"_id\":\"d3\",\"text\":\"e f\"}\n");
  write("queries.jsonl", "{\"_id\":\"q1\",\"text\":\"a b\"}\n{\"_id\":\"q2\",\"text\":\"e\"}\n");
  write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td3\t1\n");
}
const std::string kRetrieval = "type = \"Retrieval\"\ndataset = \"set\"\n";

TEST_F(TaskTest, RetrievalReadsBeir) {
  write_collection([&](const auto& name, const auto& bytes) { write(name, bytes); });
  EXPECT_NEAR(metric(kRetrieval, "ndcg_at_10"), 1, 1e-12);
  const auto scores = score(kRetrieval, {8, 4}).at(0);
  EXPECT_EQ(scores.items->ids, (std::vector<std::string>{"q1", "q2"}));
}

TEST_F(TaskTest, RetrievalRefusesBrokenIds) {
  const auto fresh = [&] {
    write_collection([&](const auto& name, const auto& bytes) { write(name, bytes); });
  };
  fresh();
  write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td9\t1\n");
  expect_words(error_of(kRetrieval), {"test.tsv:3", "d9", "allow_unknown_ids"});
  EXPECT_NEAR(metric(kRetrieval + "allow_unknown_ids = true\n", "ndcg_at_10"), 0.5, 1e-12);
  write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq7\td1\t1\n");
  expect_words(error_of(kRetrieval), {"test.tsv:3", "q7"});
  fresh();
  write("corpus.jsonl",
        "{\"_id\":\"d1\",\"text\":\"a b\"}\n{\"_id\":\"d3\",\"text\":\"e\"}\n"
        "{\"_id\":\"d1\",\"text\":\"c\"}\n");
  expect_words(error_of(kRetrieval), {"corpus.jsonl:3", "d1", "allow_duplicate_ids"});
  EXPECT_NEAR(metric(kRetrieval + "allow_duplicate_ids = true\n", "ndcg_at_10"), 1, 1e-12);
  fresh();
  write("queries.jsonl", "{\"_id\":\"q1\",\"text\":\"a b\"}\n{\"_id\":\"q1\",\"text\":\"e\"}\n");
  expect_words(error_of(kRetrieval), {"queries.jsonl:2", "q1"});
}

TEST_F(TaskTest, RerankingLeavesOutRowsWithoutBothKinds) {
  write("test.jsonl",
        "{\"query\":\"a\",\"positive\":[\"a b\"],\"negative\":[\"c d\",\"e\"]}\n"
        "{\"query\":\"a\",\"positive\":[],\"negative\":[\"c d\"]}\n");
  EXPECT_NEAR(metric("type = \"Reranking\"\ndataset = \"set\"\n", "map_at_1000"), 1, 1e-12);
  write("test.jsonl", "{\"query\":\"a\",\"positive\":[],\"negative\":[\"c d\"]}\n");
  expect_words(error_of("type = \"Reranking\"\ndataset = \"set\"\n"), {"positive", "negative"});
}

TEST_F(TaskTest, ClassificationHoldsOutAndNamesALabelThatOccursOnce) {
  std::string rows;
  for (int i = 0; i < 20; ++i) {
    rows +=
        i % 2 == 0 ? "{\"text\":\"a b\",\"label\":\"x\"}\n" : "{\"text\":\"c\",\"label\":\"y\"}\n";
  }
  write("all.jsonl", rows);
  const std::string toml =
      "type = \"Classification\"\ndataset = \"set\"\nfiles = { rows = \"all.jsonl\" }\n"
      "hold_out = 6\n";
  const auto scores = score(toml).at(0);
  EXPECT_NEAR(scores.metrics.at("accuracy").get<double>(), 1, 1e-12);
  EXPECT_EQ(scores.metrics.at("scores_per_experiment").size(), 10U);
  EXPECT_EQ(scores.items->values.size(), 6U);
  write("all.jsonl", rows + "{\"text\":\"d\",\"label\":\"rare\"}\n");
  expect_words(error_of(toml), {"all.jsonl:21", "rare", "once"});
}

TEST_F(TaskTest, ClusteringBothWays) {
  write("test.jsonl",
        "{\"sentences\":[\"a b\",\"a b\",\"c\",\"c\"],\"labels\":[0,0,1,1]}\n"
        "{\"sentences\":[\"a\",\"b\"],\"labels\":[\"s\",\"s\"]}\n");
  const std::string toml = "type = \"Clustering\"\ndataset = \"set\"\n";
  const auto legacy = score(toml + "legacy = true\n").at(0);
  EXPECT_EQ(legacy.metrics.at("v_measures").size(), 2U);
  EXPECT_NEAR(legacy.metrics.at("v_measure").get<double>(), 1, 1e-12);
  std::string rows;
  for (int i = 0; i < 40; ++i) {
    rows +=
        i % 2 == 0 ? "{\"text\":\"a b\",\"label\":\"x\"}\n" : "{\"text\":\"c\",\"label\":\"y\"}\n";
  }
  write("test.jsonl", rows);
  const auto fast = score(toml + "max_fraction = 0\nmax_documents = 64\n").at(0);
  for (const char* lists : {"v_measures", "ami_scores"}) {
    EXPECT_EQ(fast.metrics.at(lists).at("Level 0").size(), 10U) << lists;
  }
  std::vector<std::string> names;
  for (const auto& [name, value] : fast.metrics.items()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"v_measures", "v_measure", "v_measure_std",
                                             "ami_scores", "ami", "ami_std"}));
  for (const char* name : {"v_measure", "ami"}) {
    EXPECT_NEAR(fast.metrics.at(name).get<double>(), 1, 1e-12) << name;
    EXPECT_NEAR(fast.metrics.at(std::string(name) + "_std").get<double>(), 0, 1e-12) << name;
  }
  EXPECT_FALSE(legacy.metrics.contains("ami"));
}

// Labels that the vectors know nothing of: adjusted for chance there is no agreement, while the
// V-measure of many small clusters is far from 0. Two levels, one of them absent in some rows.
TEST_F(TaskTest, AdjustedMutualInformationIsFreeOfChance) {
  std::string rows;
  const std::string texts[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
  for (size_t i = 0; i < 240; ++i) {
    const std::string label = std::to_string(i * 2654435761U % 97 % 8);
    rows += "{\"text\":\"" + texts[i % 8] + "\",\"label\":[\"" + label + "\"" +
            (i % 2 == 0 ? ",\"" + texts[i % 8] + "\"" : "") + "]}\n";
  }
  write("test.jsonl", rows);
  const std::string toml =
      "type = \"Clustering\"\ndataset = \"set\"\nmax_fraction = 0\nmax_documents = 60\n";
  const auto scores = score(toml).at(0);
  const auto mean_of_level = [&](const char* lists, const char* level) {
    double sum = 0;
    for (const auto& value : scores.metrics.at(lists).at(level)) sum += value.get<double>();
    return sum / 10;
  };
  EXPECT_LT(std::abs(mean_of_level("ami_scores", "Level 0")), 0.1);
  EXPECT_GT(mean_of_level("v_measures", "Level 0"), 0.15);
  EXPECT_GT(mean_of_level("ami_scores", "Level 1"), 0.8);
  EXPECT_NEAR(scores.metrics.at("ami").get<double>(),
              (mean_of_level("ami_scores", "Level 0") + mean_of_level("ami_scores", "Level 1")) / 2,
              1e-12);
  const auto by_ami = score(toml + "main_score = \"ami\"\n").at(0);
  ASSERT_EQ(by_ami.items->values.size(), 20U);
  EXPECT_NEAR(by_ami.items->values[3],
              by_ami.metrics.at("ami_scores").at("Level 0").at(3).get<double>(), 1e-12);
}

TEST_F(TaskTest, ClusteringNamesALabelThatOccursOnce) {
  std::string rows;
  for (int i = 0; i < 20; ++i) {
    rows +=
        i % 2 == 0 ? "{\"text\":\"a\",\"label\":\"x\"}\n" : "{\"text\":\"c\",\"label\":\"y\"}\n";
  }
  write("test.jsonl", rows + "{\"text\":\"d\",\"label\":\"rare\"}\n" + rows);
  const std::string toml =
      "type = \"Clustering\"\ndataset = \"set\"\nmax_fraction = 0\nmax_documents = 32\n";
  EXPECT_EQ(error_of(toml), "no error");
  const std::string draw = toml + "subsample = 30\n";
  expect_words(error_of(draw), {"test.jsonl:21", "rare", "once", "delete this row"});
  EXPECT_EQ(error_of(draw + "drop_single_labels = true\n"), "no error");
  EXPECT_EQ(error_of(draw + "stratified = false\n"), "no error");
}

TEST_F(TaskTest, NegationAgainstHandComputedShares) {
  // Cosines: s(a, e) = 1/2, s(a, n) = 0, s(e, n) = 1/2: easy is won, hard is not (a tie).
  write("test.jsonl",
        "{\"anchor\":\"a b\",\"entailment\":\"b c\",\"negative\":\"c d\"}\n"
        "{\"anchor\":\"a b\",\"entailment\":\"a b\",\"negative\":\"c d\"}\n");
  const std::string toml = "type = \"Negation\"\ndataset = \"set\"\n";
  EXPECT_NEAR(metric(toml, "easy_negation"), 1, 1e-12);
  EXPECT_NEAR(metric(toml, "hard_negation"), 0.5, 1e-12);
}

TEST_F(TaskTest, SummarizationAndItsOldMean) {
  write("test.jsonl",
        "{\"human_summaries\":[\"a b\"],\"machine_summaries\":[\"a b\",\"a c\",\"d e\"],"
        "\"relevance\":[5,3,1]}\n");
  const std::string toml = "type = \"Summarization\"\ndataset = \"set\"\n";
  EXPECT_NEAR(metric(toml, "cosine_spearman"), 1, 1e-9);
  EXPECT_NEAR(metric(toml + "legacy = true\n", "cosine_spearman"), 0.5, 1e-9);
}

TEST_F(TaskTest, BitextAndMultilabel) {
  write("test.jsonl",
        "{\"sentence1\":\"a b\",\"sentence2\":\"b a\"}\n"
        "{\"sentence1\":\"c d\",\"sentence2\":\"d c\"}\n");
  const std::string bitext = "type = \"BitextMining\"\ndataset = \"set\"\n";
  EXPECT_NEAR(metric(bitext, "f1"), 1, 1e-12);
  // Both choose the first: F1 2/3 and 0, and each sentence has its share for the interval.
  write("test.jsonl",
        "{\"sentence1\":\"a b\",\"sentence2\":\"a b\"}\n"
        "{\"sentence1\":\"a b c\",\"sentence2\":\"z\"}\n");
  EXPECT_NEAR(metric(bitext, "f1"), 1.0 / 3, 1e-12);
  EXPECT_EQ(score(bitext, {8})[0].items->values, (std::vector<double>{2.0 / 3, 0}));
  std::string rows;
  for (int i = 0; i < 12; ++i) {
    rows += i % 2 == 0 ? "{\"text\":\"a b\",\"label\":[\"x\",\"z\"]}\n"
                       : "{\"text\":\"c\",\"label\":[\"y\"]}\n";
  }
  write("test.jsonl", rows);
  write("train.jsonl", rows);
  EXPECT_NEAR(metric("type = \"MultilabelClassification\"\ndataset = \"set\"\n", "accuracy"), 1,
              1e-12);
}

TEST_F(TaskTest, LongContextIsTheSameForEveryRun) {
  const std::string toml =
      "type = \"LongContext\"\ngenerate = \"passkey\"\nsplits = [\"test_256\"]\n"
      "documents = 20\nqueries = 10\n";
  EXPECT_EQ(metric(toml, "ndcg_at_10"), metric(toml, "ndcg_at_10"));
  expect_words(error_of("type = \"LongContext\"\ngenerate = \"passkey\"\n"), {"test_4096"});
}

TEST(Benchmarks, HaveTheTasksTheyShould) {
  EXPECT_EQ(benchmark_tasks("MTEB(eng, v1)").size(), 56U);
  EXPECT_EQ(benchmark_tasks("MTEB(eng, v2)").size(), 41U);
  EXPECT_EQ(benchmark_tasks("MTEB(cmn, v1)").size(), 31U);
  for (const auto& [alias, full] : {std::pair{"CMTEB", "MTEB(cmn, v1)"},
                                    {"MTEB(Chinese)", "MTEB(cmn, v1)"},
                                    {"MTEB", "MTEB(eng, v1)"},
                                    {"MTEB(eng, classic)", "MTEB(eng, v1)"},
                                    {"MTEB(eng)", "MTEB(eng, v2)"}}) {
    EXPECT_EQ(benchmark_name(alias), full);
    EXPECT_EQ(benchmark_tasks(alias).size(), benchmark_tasks(full).size()) << alias;
  }
  const auto types = task_types();
  for (const auto name : builtin_task_names()) {
    const TaskSpec spec = builtin_task(name);
    EXPECT_NE(std::find(types.begin(), types.end(), spec.type), types.end()) << name;
    EXPECT_FALSE(spec.main_score.empty()) << name;
    for (const auto& part : spec.subtasks) EXPECT_EQ(builtin_task(part).type, spec.type);
  }
  EXPECT_EQ(builtin_task("IFlyTek").experiments, 5U);
  EXPECT_EQ(builtin_task("MultilingualSentiment").splits.size(), 2U);
  EXPECT_TRUE(builtin_task("ArguAna").ignore_identical_ids);
  EXPECT_EQ(builtin_task("CQADupstackRetrieval").subtasks.size(), 12U);
  EXPECT_THROW(builtin_task("STSBenchmrk"), Error);
  EXPECT_THROW(benchmark_tasks("MTEB(fra, v1)"), Error);
}

TEST(TaskFile, ErrorsNameTheLine) {
  const auto error_of = [](const std::string& toml) -> std::string {
    try {
      parse_task_file(toml, "t.toml");
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  const std::string good = "[[task]]\nname = \"a\"\ntype = \"STS\"\ndataset = \"d\"\n";
  EXPECT_EQ(error_of(good), "no error");
  expect_words(error_of(good + "bogus = 1\n"), {"t.toml:5", "bogus"});
  expect_words(error_of(good + "samples_per_label = -1\n"), {"t.toml:5", "samples_per_label"});
  expect_words(error_of(good + "samples_per_label = 8\n"), {"t.toml:5", "changes nothing", "STS"});
  expect_words(error_of(good + "splits = 3\n"), {"t.toml:5", "splits"});
  expect_words(error_of(good + good), {"t.toml:5", "another"});
  expect_words(error_of("[[task]]\nname = \"a\"\ntype = \"STZ\"\ndataset = \"d\"\n"),
               {"STZ", "STS"});
  expect_words(error_of("[[task]]\nname = \"../a\"\ntype = \"STS\"\ndataset = \"d\"\n"), {"../a"});
  expect_words(error_of(good + "colums = { sentence1 = \"a\" }\n"), {"t.toml:5", "mean columns?"});
  expect_words(error_of(good + "columns = { sentnce1 = \"a\" }\n"),
               {"t.toml:5", "mean sentence1?"});
  expect_words(error_of(good + "files = { row = \"a\" }\n"), {"t.toml:5", "mean rows?"});
  expect_words(error_of(good + "prompts = { qery = \"a\" }\n"), {"t.toml:5", "mean query?"});
  expect_words(error_of(good + "splits = [\"test\", \"test\"]\n"), {"split", "test", "twice"});
  expect_words(error_of("[[task]]\nname = \"model_meta\"\ntype = \"STS\"\ndataset = \"d\"\n"),
               {"model_meta", "result file"});
  expect_words(error_of("[[task]\n"), {"t.toml:1"});
  expect_words(error_of("x = 1\n"), {"t.toml:1", "x"});
  expect_words(error_of(""), {"no [[task]]"});
}

}  // namespace
}  // namespace akin::eval
