#include "eval/ranking.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/threads.h"
#include "eval/checks.h"
#include "eval/numpy_sum.h"

namespace akin::eval {
namespace {

constexpr std::string_view kWhere = "ranking scores";

bool better(const RankedDoc& a, const RankedDoc& b) {
  return a.score != b.score ? a.score > b.score : a.id > b.id;
}

// The abstention curves are compared for equality, so the order of additions shows.
double mean(std::span<const double> values) {
  return numpy_sum(values.data(), values.size()) / static_cast<double>(values.size());
}

// What one query's ranking adds up to.
class QueryScorer {
 public:
  QueryScorer(const RankedQuery& query, std::vector<Judgement>& judged) : judged_(judged) {
    judged_.assign(query.qrels.begin(), query.qrels.end());
    std::sort(judged_.begin(), judged_.end(),
              [](const Judgement& a, const Judgement& b) { return a.id < b.id; });
    for (size_t i = 1; i < judged_.size(); ++i) {
      if (judged_[i].id == judged_[i - 1].id) fail(query, "judged", judged_[i].id);
    }
    seen_.assign(judged_.size(), false);
    for (const auto& j : judged_) ends_.set(end_of(j.id));
  }

  // The relevance of a ranked document, 0 when it has none.
  int32_t relevance(const RankedQuery& query, std::string_view id) {
    if (!ends_.test(end_of(id))) return 0;  // most documents are not judged
    const auto at =
        std::lower_bound(judged_.begin(), judged_.end(), id,
                         [](const Judgement& j, std::string_view v) { return j.id < v; });
    if (at == judged_.end() || at->id != id) return 0;
    const auto index = static_cast<size_t>(at - judged_.begin());
    if (seen_[index]) fail(query, "ranked", id);
    seen_[index] = true;
    return std::max(0, at->relevance);
  }

  // Gains of the best possible ranking, falling; as many as there are relevant documents.
  std::vector<int32_t> ideal() const {
    std::vector<int32_t> gains;
    for (const auto& j : judged_) {
      if (j.relevance > 0) gains.push_back(j.relevance);
    }
    std::sort(gains.begin(), gains.end(), std::greater<>());
    return gains;
  }

 private:
  [[noreturn]] static void fail(const RankedQuery& query, std::string_view what,
                                std::string_view id) {
    throw_error(ErrorKind::usage, kWhere, "query {}: document {} is {} twice, expected once",
                quote(query.id), quote(id), what);
  }
  // A few bits of an id's last bytes and length.
  static size_t end_of(std::string_view id) {
    uint32_t word = 0;
    if (id.size() >= sizeof word) {
      std::memcpy(&word, id.data() + id.size() - sizeof word, sizeof word);
    } else if (!id.empty()) {
      std::memcpy(&word, id.data(), id.size());
    }
    return ((word ^ static_cast<uint32_t>(id.size())) * 0x9E3779B1U) >> 24;
  }

  std::vector<Judgement>& judged_;
  std::vector<bool> seen_;
  std::bitset<256> ends_;  // of the judged
};

struct Scratch {
  std::vector<RankedDoc> ranking;
  std::vector<Judgement> judged;
  std::vector<double> values;
};

double gain_at(int32_t gain, size_t rank) {
  return gain / std::log2(static_cast<double>(rank + 2));
}

void score_cutoffs(std::span<const int32_t> gains, std::span<const int32_t> ideal, size_t query,
                   RankingScores& out) {
  double dcg = 0, best = 0, precisions = 0, first = 0;
  size_t rank = 0, hits = 0;
  std::vector<size_t> order(out.cutoffs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return out.cutoffs[a] < out.cutoffs[b]; });
  for (const size_t c : order) {
    const size_t k = out.cutoffs[c];
    for (; rank < k && rank < std::max(gains.size(), ideal.size()); ++rank) {
      if (rank < ideal.size()) best += gain_at(ideal[rank], rank);
      if (rank >= gains.size() || gains[rank] <= 0) continue;
      dcg += gain_at(gains[rank], rank);
      ++hits;
      precisions += static_cast<double>(hits) / static_cast<double>(rank + 1);
      if (hits == 1) first = 1.0 / static_cast<double>(rank + 1);
    }
    const auto relevant = static_cast<double>(ideal.size());
    out.ndcg[query][c] = best > 0 ? dcg / best : 0;
    out.map[query][c] = relevant > 0 ? precisions / relevant : 0;
    out.recall[query][c] = relevant > 0 ? static_cast<double>(hits) / relevant : 0;
    out.precision[query][c] = static_cast<double>(hits) / static_cast<double>(k);
    out.success[query][c] = hits > 0 ? 1 : 0;
    out.mrr[query][c] = first;
  }
}

// Greatest score, population standard deviation, and lead over the second; scores fall.
void score_confidence(std::span<const RankedDoc> ranking, size_t query, Scratch& scratch,
                      RankingScores& out) {
  if (ranking.empty()) return;
  auto& values = scratch.values;
  values.clear();
  for (const auto& doc : ranking) values.push_back(doc.score);
  const double centre = mean(values);
  out.confidence_max[query] = values[0];
  out.confidence_diff[query] = values.size() > 1 ? values[0] - values[1] : 0;
  for (auto& v : values) v = (v - centre) * (v - centre);
  out.confidence_std[query] = std::sqrt(mean(values));
}

void score_query(const RankedQuery& query, size_t index, Scratch& scratch, RankingScores& out) {
  if (query.qrels.empty()) {
    throw_error(ErrorKind::usage, kWhere,
                "query {} has no judgements; leave such queries out before scoring",
                quote(query.id));
  }
  auto& ranking = scratch.ranking;
  ranking.assign(query.ranking.begin(), query.ranking.end());
  for (const auto& doc : ranking) {
    if (!std::isnan(doc.score)) continue;
    throw_error(ErrorKind::usage, kWhere,
                "query {}: the score of document {} is not a number; the model gave a broken "
                "embedding",
                quote(query.id), quote(doc.id));
  }
  sort_ranking(ranking);
  QueryScorer scorer(query, scratch.judged);
  std::vector<int32_t> gains;
  gains.reserve(ranking.size());
  for (const auto& doc : ranking) gains.push_back(scorer.relevance(query, doc.id));
  score_cutoffs(gains, scorer.ideal(), index, out);
  score_confidence(ranking, index, scratch, out);
}

using Table = std::vector<std::vector<double>>;  // [query][cutoff]

std::vector<double> column(const Table& table, size_t c) {
  std::vector<double> values;
  values.reserve(table.size());
  for (const auto& row : table) values.push_back(row[c]);
  return values;
}

double plain_mean(const Table& table, size_t c) {  // one by one, as the reference adds
  double sum = 0;
  for (const auto& row : table) sum += row[c];
  return sum / static_cast<double>(table.size());
}

constexpr size_t kRates = 10;  // abstention rates 0, 0.1, ... 0.9
double rate(size_t i) { return static_cast<double>(i) * 0.1; }

using Curve = std::array<double, kRates>;

std::vector<size_t> rising_order(std::span<const double> confidence) {
  std::vector<size_t> order(confidence.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return confidence[a] < confidence[b]; });
  return order;
}

// Of a metric whose queries are left out from the front.
Curve abstention_curve(std::span<const double> metric) {
  const size_t n = metric.size();
  Curve curve{};
  for (size_t i = 0; i < kRates; ++i) {
    const double wanted = std::nearbyint(rate(i) * static_cast<double>(n));  // half to even
    const size_t abstained = std::min(static_cast<size_t>(wanted), n - 1);
    curve[i] = mean(metric.subspan(abstained));
  }
  return curve;
}

double area(const Curve& curve) {
  std::array<double, kRates - 1> parts{};
  for (size_t i = 0; i + 1 < kRates; ++i)
    parts[i] = (rate(i + 1) - rate(i)) * (curve[i + 1] + curve[i]) / 2.0;
  return numpy_sum(parts.data(), parts.size());
}

// A metric's areas: with the best order of its queries, and with any.
struct Bounds {
  double best, flat;
};
Bounds bounds_of(std::vector<double> metric) {
  std::sort(metric.begin(), metric.end());
  const Curve oracle = abstention_curve(metric);
  return {area(oracle), oracle[0] * (rate(kRates - 1) - rate(0))};
}

double nauc(std::span<const size_t> order, std::span<const double> metric, const Bounds& bounds) {
  if (bounds.best == bounds.flat) return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> values;
  values.reserve(order.size());
  for (const size_t query : order) values.push_back(metric[query]);
  return (area(abstention_curve(values)) - bounds.flat) / (bounds.best - bounds.flat);
}

}  // namespace

void sort_ranking(std::span<RankedDoc> ranking) {
  if (std::is_sorted(ranking.begin(), ranking.end(), better)) return;
  std::sort(ranking.begin(), ranking.end(), better);
}

RankingScores evaluate_ranking(std::span<const RankedQuery> queries,
                               std::span<const size_t> cutoffs, ThreadPool& pool) {
  check_rows(queries.size(), 1, kWhere);
  if (cutoffs.empty() || std::find(cutoffs.begin(), cutoffs.end(), size_t{0}) != cutoffs.end())
    throw_error(ErrorKind::usage, kWhere, "expected at least one cutoff, all of them 1 or more");
  RankingScores out;
  out.cutoffs.assign(cutoffs.begin(), cutoffs.end());
  for (Table* table : {&out.ndcg, &out.map, &out.recall, &out.precision, &out.success, &out.mrr}) {
    table->assign(queries.size(), std::vector<double>(cutoffs.size()));
  }
  for (auto* values : {&out.confidence_max, &out.confidence_std, &out.confidence_diff})
    values->assign(queries.size(), 0);
  std::vector<Scratch> scratch(pool.size());
  parallel_for(pool, queries.size(), 16,
               [&](size_t q, size_t thread) { score_query(queries[q], q, scratch[thread], out); });
  return out;
}

std::vector<std::pair<std::string, double>> RankingScores::aggregate() const {
  std::vector<std::pair<std::string, double>> out;
  const auto add = [&](std::string_view name, const Table& table, bool rounded) {
    for (size_t c = 0; c < cutoffs.size(); ++c) {
      const double value = plain_mean(table, c);
      out.emplace_back(fmt::format("{}_at_{}", name, cutoffs[c]),
                       rounded ? round_decimals(value, 5) : value);
    }
  };
  const std::array<std::pair<std::string_view, std::vector<size_t>>, 3> orders = {
      {{"max", rising_order(confidence_max)},
       {"std", rising_order(confidence_std)},
       {"diff1", rising_order(confidence_diff)}}};
  const auto add_nauc = [&](std::string_view name, const Table& table) {
    for (size_t c = 0; c < cutoffs.size(); ++c) {
      const auto metric = column(table, c);
      const Bounds bounds = bounds_of(metric);
      for (const auto& [suffix, order] : orders) {
        out.emplace_back(fmt::format("nauc_{}_at_{}_{}", name, cutoffs[c], suffix),
                         nauc(order, metric, bounds));
      }
    }
  };
  add("ndcg", ndcg, true);
  add("map", map, true);
  add("recall", recall, true);
  for (size_t c = 0; c < cutoffs.size(); ++c) {
    if (cutoffs[c] == 1) out.emplace_back("accuracy", round_decimals(plain_mean(recall, c), 5));
  }
  add("precision", precision, true);
  add("mrr", mrr, false);
  add_nauc("ndcg", ndcg);
  add_nauc("map", map);
  add_nauc("recall", recall);
  add_nauc("precision", precision);
  add_nauc("mrr", mrr);
  add("hit_rate", success, true);
  return out;
}

double abstention_nauc(std::span<const double> confidence, std::span<const double> metric) {
  check_rows(metric.size(), 1, "nauc");
  check_same_size(confidence.size(), metric.size(), "nauc", "confidences");
  return nauc(rising_order(confidence), metric, bounds_of({metric.begin(), metric.end()}));
}

double round_decimals(double value, int decimals) {
  if (!std::isfinite(value)) return value;
  std::array<char, 400> text{};  // the longest double has 309 digits before the point
  const int length = std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  AKIN_CHECK(length > 0 && static_cast<size_t>(length) < text.size());
  return std::strtod(text.data(), nullptr);
}

}  // namespace akin::eval
