// Scores of ranked lists against judgements, with trec_eval 9.0.8's semantics and mteb's names.
// Scores are compared as float, falling; ties by id, falling in byte order. A relevance >= 1 is
// relevant and is its own gain, < 0 is unjudged, a missing one is not relevant.
// nAUC: arXiv:2402.12997.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace akin {
class ThreadPool;
}

namespace akin::eval {

struct RankedDoc {
  float score = 0;
  std::string_view id;
};
struct Judgement {
  std::string_view id;
  int32_t relevance = 0;
};
struct RankedQuery {
  std::string_view id;                 // for error messages only
  std::span<const RankedDoc> ranking;  // in any order; distinct ids
  std::span<const Judgement> qrels;    // in any order; distinct ids; not empty
};

inline constexpr size_t kDefaultCutoffs[] = {1, 3, 5, 10, 20, 100, 1000};

// Per query and cutoff, [query][cutoff].
struct RankingScores {
  std::vector<size_t> cutoffs;
  std::vector<std::vector<double>> ndcg, map, recall, precision, success, mrr;
  std::vector<double> confidence_max, confidence_std, confidence_diff;  // by query, for nAUC

  // mteb's flat list in mteb's order: ndcg_at_k, map_at_k, recall_at_k, accuracy, precision_at_k,
  // mrr_at_k, nauc_*_{max,std,diff1}, hit_rate_at_k. Means over queries; all but mrr and nauc
  // rounded to 5 decimals. nauc is NaN where every query scores alike.
  std::vector<std::pair<std::string, double>> aggregate() const;
};

// Sorts a ranking in place: best first, by the rule above.
void sort_ranking(std::span<RankedDoc> ranking);

// Errors: usage for no queries, a query without judgements, an id ranked or judged twice, a NaN
// score, or no cutoffs (or a cutoff of 0). A query with an empty ranking scores 0.
RankingScores evaluate_ranking(std::span<const RankedQuery> queries,
                               std::span<const size_t> cutoffs, ThreadPool& pool);

// Normalised area under the abstention curve; NaN when the oracle cannot improve on chance.
double abstention_nauc(std::span<const double> confidence, std::span<const double> metric);

// Python's round(value, 5): half to even on the decimal value of the double.
double round_decimals(double value, int decimals);

}  // namespace akin::eval
