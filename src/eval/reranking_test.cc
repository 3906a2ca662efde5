// Reranking in both forms of its data, and the maximum over sub-queries, against rankings worked
// out by hand.
#include <algorithm>

#include "eval/benchmarks.h"
#include "eval/test_task.h"

namespace akin::eval {
namespace {

const std::string kReranking = "type = \"Reranking\"\ndataset = \"set\"\n";

class RerankingTest : public TaskTest {
 protected:
  void write_corpus() const {
    write("corpus.jsonl",
          "{\"_id\":\"p\",\"title\":\"a\",\"text\":\"b\"}\n{\"_id\":\"n1\",\"text\":\"a c\"}\n"
          "{\"_id\":\"n2\",\"text\":\"d\"}\n{\"_id\":\"out\",\"text\":\"a b\"}\n");
    write("queries.jsonl",
          "{\"_id\":\"q1\",\"text\":\"a b\"}\n{\"_id\":\"q2\",\"text\":\"d e\"}\n");
    write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\tp\t1\nq2\tp\t1\n");
    write_candidates("\"n1\",\"n2\",\"p\"");
  }
  void write_candidates(const std::string& of_second) const {
    write("top_ranked/test.jsonl",
          "{\"query-id\":\"q1\",\"corpus-ids\":[\"n2\",\"p\",\"n1\"]}\n"
          "{\"query-id\":\"q2\",\"corpus-ids\":[" +
              of_second + "]}\n");
  }
  size_t times_seen(const std::string& text) const {
    return static_cast<size_t>(std::count(encoder_.seen.begin(), encoder_.seen.end(), text));
  }
};

TEST_F(RerankingTest, RanksTheCandidatesOfTopRankedOnly) {
  write_corpus();
  // q1: p is first, for "out" is no candidate of it. q2: n2 is first; n1 and p are both at 0, and
  // of equal scores the greater id comes first: p is second.
  const auto scores = score(kReranking).at(0);
  EXPECT_NEAR(scores.metrics.at("map_at_1000").get<double>(), 0.75, 1e-12);
  EXPECT_NEAR(scores.metrics.at("recall_at_1").get<double>(), 0.5, 1e-12);
  EXPECT_EQ(scores.items->ids, (std::vector<std::string>{"q1", "q2"}));
  EXPECT_EQ(scores.items->values, (std::vector<double>{1, 0.5}));
  EXPECT_EQ(score(kReranking, {8, 4}).size(), 2U);
}

TEST_F(RerankingTest, QueriesAndDocumentsHaveTheirPrompts) {
  write_corpus();
  score(kReranking + "prompts = { query = \"Q: \", document = \"D: \" }\n");
  EXPECT_EQ(times_seen("Q: a b"), 1U);
  EXPECT_EQ(times_seen("D: a b"), 1U);  // of two documents with that text
  EXPECT_EQ(times_seen("D: d e"), 0U);
}

TEST_F(RerankingTest, NamesCandidatesThatAreNotThere) {
  write_corpus();
  write_candidates("\"n1\",\"p9\"");
  expect_words(error_of(kReranking), {"test.jsonl:2", "p9", "allow_unknown_ids"});
  EXPECT_NEAR(metric(kReranking + "allow_unknown_ids = true\n", "map_at_1000"), 0.5, 1e-12);
  write_candidates("");
  expect_words(error_of(kReranking), {"top_ranked", "q2", "no candidates", "allow_unknown_ids"});
  EXPECT_NEAR(metric(kReranking + "allow_unknown_ids = true\n", "map_at_1000"), 0.5, 1e-12);
}

TEST_F(RerankingTest, OldRowsRankPositivesAgainstNegatives) {
  write("test.jsonl",
        "{\"query\":\"a\",\"positive\":[\" a \",\"a b\"],\"negative\":[\"a b c\",\"d\"]}\n"
        "{\"query\":\"d\",\"positive\":[],\"negative\":[\"c d\"]}\n"
        "{\"query\":\"d\",\"positive\":[\"d\"],\"negative\":[]}\n"
        "{\"query\":\"d\",\"positive\":[\"d\"],\"negative\":[\"d\",\"e\"]}\n");
  // The last query: its positive and a negative are alike; "negative..." is the greater id.
  const auto scores = score(kReranking).at(0);
  EXPECT_NEAR(scores.metrics.at("map_at_1000").get<double>(), 0.75, 1e-12);
  EXPECT_EQ(scores.items->ids, (std::vector<std::string>{"test_query0", "test_query1"}));
  EXPECT_EQ(times_seen(" a "), 0U);  // documents are stripped
}

TEST_F(RerankingTest, AQueryOfSeveralTextsTakesTheGreatestScore) {
  write("test.jsonl",
        "{\"query\":[\"a\",\"d\"],\"positive\":[\"d\"],\"negative\":[\"a b\",\"a c\"]}\n");
  EXPECT_NEAR(metric(kReranking, "map_at_1000"), 1, 1e-12);
  write("test.jsonl", "{\"query\":[\"a\"],\"positive\":[\"d\"],\"negative\":[\"a b\",\"a c\"]}\n");
  EXPECT_NEAR(metric(kReranking, "map_at_1000"), 1.0 / 3, 1e-5);
}

TEST_F(RerankingTest, BothFormsOfTheSameDataScoreAlike) {
  const std::string texts[] = {"a b", "b c", "c d e", "a", "d e", "e f a", "b", "g"};
  std::string rows, corpus, queries, qrels = "query-id\tcorpus-id\tscore\n", candidates;
  for (size_t q = 0; q < 6; ++q) {
    std::string lists[2], ids;
    for (size_t i = 0; i < 4; ++i) {
      const size_t kind = i % 2;
      const std::string text = "\"" + texts[(3 * q + 2 * i) % 8] + "\"";
      const std::string id =
          fmt::format("{}_test_query{}_{:05}", kind == 0 ? "apositive" : "negative", q, i / 2);
      lists[kind] += (lists[kind].empty() ? "" : ",") + text;
      ids += (ids.empty() ? "\"" : ",\"") + id + "\"";
      corpus += "{\"id\":\"" + id + "\",\"title\":\"\",\"text\":" + text + "}\n";
      qrels += fmt::format("test_query{}\t{}\t{}\n", q, id, kind == 0 ? 1 : 0);
    }
    rows += fmt::format("{{\"query\":\"{}\",\"positive\":[{}],\"negative\":[{}]}}\n", texts[q],
                        lists[0], lists[1]);
    queries += fmt::format("{{\"id\":\"test_query{}\",\"text\":\"{}\"}}\n", q, texts[q]);
    candidates += fmt::format("{{\"query-id\":\"test_query{}\",\"corpus-ids\":[{}]}}\n", q, ids);
  }
  write("test.jsonl", rows);
  const auto old = score(kReranking).at(0);
  std::filesystem::remove(folder_ / "set" / "test.jsonl");
  write("corpus.jsonl", corpus);
  write("queries.jsonl", queries);
  write("qrels/test.tsv", qrels);
  write("top_ranked.jsonl", candidates);
  const auto current = score(kReranking).at(0);
  EXPECT_EQ(old.metrics.dump(), current.metrics.dump());
  EXPECT_EQ(old.items->values, current.items->values);
  EXPECT_GT(old.metrics.at("map_at_1000").get<double>(), 0);
}

TEST_F(RerankingTest, MoreThanAThousandCandidates) {
  std::string negatives;
  for (int i = 0; i < 1200; ++i) negatives += i == 0 ? "\"a\"" : ",\"a\"";
  const auto write_row = [&](const std::string& positive) {
    write("test.jsonl", "{\"query\":\"a b\",\"positive\":[\"" + positive + "\"],\"negative\":[" +
                            negatives + "]}\n");
  };
  write_row("a b");
  EXPECT_NEAR(metric(kReranking, "map_at_1000"), 1, 1e-12);
  write_row("d");
  EXPECT_NEAR(metric(kReranking, "recall_at_1000"), 0, 1e-12);
}

// Two users with two clicks each. u1: by the first click n leads, by the second p; the greatest
// scores are p: 1/sqrt(2), n: 1/sqrt(3). u_2: p: 1/sqrt(2), m: 1.
TEST_F(RerankingTest, MindTakesTheGreatestScoreOverSubQueries) {
  write("corpus.jsonl",
        "{\"_id\":\"p\",\"text\":\"d e\"}\n{\"_id\":\"n\",\"text\":\"a b c\"}\n"
        "{\"_id\":\"m\",\"text\":\"f\"}\n");
  write("queries.jsonl",
        "{\"_id\":\"u1_0\",\"text\":\"a\"}\n{\"_id\":\"u1_1\",\"text\":\"d\"}\n"
        "{\"_id\":\"u_2_0\",\"text\":\"e\"}\n{\"_id\":\"u_2_1\",\"text\":\"f\"}\n");
  std::string qrels = "query-id\tcorpus-id\tscore\n", candidates;
  for (const char* id : {"u1_0", "u1_1", "u_2_0", "u_2_1"}) {
    const std::string other = id[1] == '1' ? "n" : "m";
    qrels += fmt::format("{}\tp\t1\n{}\t{}\t0\n", id, id, other);
    candidates += fmt::format("{{\"query-id\":\"{}\",\"corpus-ids\":[\"p\",\"{}\"]}}\n", id, other);
  }
  write("qrels/test.tsv", qrels);
  write("top_ranked/test.jsonl", candidates);
  TaskSpec spec = builtin_task("MindSmallReranking");
  spec.dataset = "set";
  const auto scores = score(spec).at(0);
  EXPECT_NEAR(scores.metrics.at("max_over_subqueries_map_at_1000").get<double>(), 0.75, 1e-12);
  EXPECT_NEAR(scores.metrics.at("max_over_subqueries_recall_at_1").get<double>(), 0.5, 1e-12);
  EXPECT_EQ(scores.items->ids, (std::vector<std::string>{"u1", "u_2"}));
  EXPECT_EQ(scores.items->values, (std::vector<double>{1, 0.5}));
  // Each sub-query for itself: 1/2, 1, 1, 1/2.
  spec.max_over_subqueries = false;
  spec.main_score = "map_at_1000";
  EXPECT_NEAR(score(spec).at(0).metrics.at("map_at_1000").get<double>(), 0.75, 1e-12);
  EXPECT_EQ(score(spec).at(0).items->values, (std::vector<double>{0.5, 1, 1, 0.5}));
}

}  // namespace
}  // namespace akin::eval
