// Ranking scores against a plain second implementation of trec_eval's measures, and abstention
// against numpy.
#include "eval/ranking.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "base/threads.h"
#include "eval/test_goldens.h"

namespace akin::eval {
namespace {

struct Query {
  std::map<std::string, float> run;
  std::map<std::string, int> qrels;
};

// The measures by their definitions, one cutoff at a time.
struct Plain {
  explicit Plain(const Query& query) : q(query) {
    std::vector<std::pair<float, std::string>> sorted;
    for (const auto& [id, score] : query.run) sorted.emplace_back(score, id);
    std::sort(sorted.rbegin(), sorted.rend());
    for (const auto& [score, id] : sorted) ids.push_back(id);
    for (const auto& [id, relevance] : query.qrels) {
      if (relevance > 0) ideal.push_back(relevance);
    }
    std::sort(ideal.rbegin(), ideal.rend());
  }
  int gain(size_t rank) const {
    const auto at = rank < ids.size() ? q.qrels.find(ids[rank]) : q.qrels.end();
    return at == q.qrels.end() || at->second < 0 ? 0 : at->second;
  }
  size_t hits(size_t k) const {
    size_t n = 0;
    for (size_t i = 0; i < k; ++i) n += gain(i) > 0 ? 1 : 0;
    return n;
  }
  double ndcg(size_t k) const {
    double dcg = 0, best = 0;
    for (size_t i = 0; i < k; ++i) dcg += gain(i) / std::log2(2.0 + static_cast<double>(i));
    for (size_t i = 0; i < std::min(k, ideal.size()); ++i)
      best += ideal[i] / std::log2(2.0 + static_cast<double>(i));
    return best == 0 ? 0 : dcg / best;
  }
  double map(size_t k) const {
    double sum = 0;
    for (size_t i = 0; i < k; ++i) {
      if (gain(i) > 0) sum += static_cast<double>(hits(i + 1)) / static_cast<double>(i + 1);
    }
    return ideal.empty() ? 0 : sum / static_cast<double>(ideal.size());
  }
  double recall(size_t k) const {
    return ideal.empty() ? 0 : static_cast<double>(hits(k)) / static_cast<double>(ideal.size());
  }
  double mrr(size_t k) const {
    for (size_t i = 0; i < k; ++i) {
      if (gain(i) > 0) return 1.0 / static_cast<double>(i + 1);
    }
    return 0;
  }
  const Query& q;
  std::vector<std::string> ids;
  std::vector<int> ideal;
};

// Random runs: few distinct scores, so that ties are everywhere; relevances -1 to 3; judged
// documents that were not found; a query that found nothing, one with nothing relevant.
std::vector<Query> random_queries(uint64_t seed, size_t count) {
  Rng rng(seed);
  std::vector<Query> queries(count);
  for (size_t i = 0; i < count; ++i) {
    Query& q = queries[i];
    const size_t docs = i == 3 ? 0 : 1 + rng.below(60), levels = i % 5 == 4 ? 1 : 1 + rng.below(30);
    for (size_t d = 0; d < docs; ++d) {
      q.run["doc" + std::to_string(rng.below(90))] =
          static_cast<float>(rng.below(levels)) / 7.0F - 1.0F;
    }
    for (size_t j = 0; j < 1 + rng.below(12); ++j) {
      const int relevance = i == 5 ? 0 : static_cast<int>(rng.below(5)) - 1;
      q.qrels["doc" + std::to_string(rng.below(100))] = relevance;
    }
  }
  return queries;
}

struct Input {
  explicit Input(const std::vector<Query>& queries) : runs(queries.size()), qrels(queries.size()) {
    for (size_t i = 0; i < queries.size(); ++i) {
      for (const auto& [id, score] : queries[i].run) runs[i].push_back({score, id});
      for (const auto& [id, relevance] : queries[i].qrels) qrels[i].push_back({id, relevance});
      ranked.push_back({"q", runs[i], qrels[i]});
    }
  }
  std::vector<std::vector<RankedDoc>> runs;
  std::vector<std::vector<Judgement>> qrels;
  std::vector<RankedQuery> ranked;
};

TEST(Ranking, EqualsAPlainTrecEval) {
  const auto queries = random_queries(7, 200);
  const Input input(queries);
  ThreadPool pool(3);
  const auto scores = evaluate_ranking(input.ranked, kDefaultCutoffs, pool);
  for (size_t i = 0; i < queries.size(); ++i) {
    SCOPED_TRACE(i);
    const Plain plain(queries[i]);
    for (size_t c = 0; c < scores.cutoffs.size(); ++c) {
      const size_t k = scores.cutoffs[c];
      EXPECT_NEAR(scores.ndcg[i][c], plain.ndcg(k), 1e-12);
      EXPECT_NEAR(scores.map[i][c], plain.map(k), 1e-12);
      EXPECT_NEAR(scores.recall[i][c], plain.recall(k), 1e-12);
      EXPECT_NEAR(scores.precision[i][c],
                  static_cast<double>(plain.hits(k)) / static_cast<double>(k), 1e-12);
      EXPECT_EQ(scores.success[i][c], plain.hits(k) > 0 ? 1 : 0);
      EXPECT_NEAR(scores.mrr[i][c], plain.mrr(k), 1e-12);
    }
  }
}

TEST(Ranking, SameForAnyThreadCountAndInputOrder) {
  const auto queries = random_queries(8, 64);
  Input input(queries), reversed(queries);
  for (auto& run : reversed.runs) std::reverse(run.begin(), run.end());
  ThreadPool one(1), four(4);
  const auto a = evaluate_ranking(input.ranked, kDefaultCutoffs, one);
  const auto b = evaluate_ranking(reversed.ranked, kDefaultCutoffs, four);
  EXPECT_EQ(a.ndcg, b.ndcg);
  EXPECT_EQ(a.map, b.map);
  EXPECT_EQ(a.confidence_std, b.confidence_std);
}

TEST(Ranking, TiesFallByBytesOfTheId) {
  std::vector<RankedDoc> docs = {{1, "a"}, {1, "b"},        {1, "B"},
                                 {2, "0"}, {1, "\xC3\xA9"}, {1, "aa"}};
  sort_ranking(docs);
  std::string order;
  for (const auto& doc : docs) order += std::string(doc.id) + " ";
  EXPECT_EQ(order, "0 \xC3\xA9 b aa a B ");
}

TEST(Ranking, AggregateHasTheNamesAndTheOrder) {
  const auto queries = random_queries(9, 50);
  const Input input(queries);
  ThreadPool pool(1);
  const size_t cutoffs[] = {1, 10};
  const auto flat = evaluate_ranking(input.ranked, cutoffs, pool).aggregate();
  std::vector<std::string> names;
  for (const auto& [name, value] : flat) names.push_back(name);
  const std::vector<std::string> expected = {
      "ndcg_at_1", "ndcg_at_10",     "map_at_1",        "map_at_10", "recall_at_1", "recall_at_10",
      "accuracy",  "precision_at_1", "precision_at_10", "mrr_at_1",  "mrr_at_10"};
  ASSERT_GT(names.size(), expected.size());
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), names.begin()));
  EXPECT_EQ(names[11], "nauc_ndcg_at_1_max");
  EXPECT_EQ(names[12], "nauc_ndcg_at_1_std");
  EXPECT_EQ(names[13], "nauc_ndcg_at_1_diff1");
  EXPECT_EQ(names[29], "nauc_precision_at_1_max");
  EXPECT_EQ(names[names.size() - 2], "hit_rate_at_1");
  EXPECT_EQ(names.size(), 11 + 5 * 2 * 3 + 2U);
  double sum = 0;
  for (const auto& q : queries) sum += Plain(q).ndcg(10);
  EXPECT_EQ(flat[1].second, round_decimals(sum / 50, 5));
}

TEST(Ranking, AbstentionEqualsNumpy) {
  for (const auto& row : goldens("metrics").at("nauc")) {
    SCOPED_TRACE(row.at("name"));
    const double got = abstention_nauc(column(row.at("confidence")), column(row.at("metric")));
    EXPECT_TRUE(near(got, number(row.at("nauc")))) << got << " " << row.at("nauc");
  }
}

TEST(Ranking, RoundsAsPython) {
  EXPECT_EQ(round_decimals(0.123455, 5), 0.12345);  // this double lies below the half
  EXPECT_EQ(round_decimals(0.300005, 5), 0.30001);  // and this one above
  EXPECT_EQ(round_decimals(2.5, 0), 2);
  EXPECT_EQ(round_decimals(0.5, 0), 0);
  EXPECT_EQ(round_decimals(1e300, 5), 1e300);
  EXPECT_TRUE(std::isnan(round_decimals(std::nan(""), 5)));
}

TEST(Ranking, Refuses) {
  ThreadPool pool(2);
  const std::vector<RankedDoc> run = {{1, "a"}, {0.5, "b"}};
  const std::vector<RankedDoc> twice = {{1, "a"}, {0.5, "a"}};
  const std::vector<RankedDoc> broken = {{std::nanf(""), "a"}};
  const std::vector<Judgement> qrels = {{"a", 1}}, judged_twice = {{"a", 1}, {"a", 0}};
  const auto fails = [&](const RankedQuery& query, std::string_view words) {
    try {
      evaluate_ranking({&query, 1}, kDefaultCutoffs, pool);
      ADD_FAILURE() << words;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::usage);
      EXPECT_NE(e.message().find(words), std::string::npos) << e.message();
    }
  };
  fails({"q1", run, {}}, "has no judgements");
  fails({"q1", twice, qrels}, "is ranked twice");
  fails({"q1", run, judged_twice}, "is judged twice");
  fails({"q1", broken, qrels}, "not a number");
  EXPECT_THROW(evaluate_ranking({}, kDefaultCutoffs, pool), Error);
  const RankedQuery good = {"q1", run, qrels};
  const size_t zero[] = {0};
  EXPECT_THROW(evaluate_ranking({&good, 1}, zero, pool), Error);
  EXPECT_THROW(evaluate_ranking({&good, 1}, {}, pool), Error);
}

}  // namespace
}  // namespace akin::eval
