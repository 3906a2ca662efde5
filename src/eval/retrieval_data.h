// Queries, judgements and candidates of retrieval-like tasks, with their checks, and the step from
// rankings to mteb's scores. The documents themselves are streamed by the task.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "eval/ranking.h"
#include "eval/task.h"
#include "eval/task_data.h"

namespace akin::eval {

// Queries that have judgements, in dataset order.
struct QuerySet {
  std::vector<std::string> ids, texts;
  // Per query. Judgement ids borrow from `doc_ids` of the task: numbers into it here.
  struct Judged {
    uint32_t doc;  // number in Corpus::ids, or kUnknownDoc + n: unknown_docs[n]
    int32_t relevance;
  };
  std::vector<std::vector<Judged>> qrels;
  std::vector<std::string> unknown_docs;  // judged, but not in the corpus (allow_unknown_ids)
};
inline constexpr uint32_t kUnknownDoc = uint32_t{1} << 31;

// The ids of the documents, read before their texts.
struct Corpus {
  std::vector<std::string> ids;
  std::unordered_map<std::string_view, uint32_t> numbers;  // views into ids
  std::vector<uint32_t> ranks;  // place of each id among all ids in rising byte order
  std::string_view id_of(const QuerySet& queries, uint32_t doc) const;
};

// Errors: bad_format naming file and row: duplicate id, no documents.
Corpus read_corpus_ids(const Slice& slice, const TaskContext& context);
// Calls on_text for each document, numbered as in Corpus: title and text joined as mteb does.
void each_document(const Slice& slice, const TaskContext& context, const Corpus& corpus,
                   const std::function<void(uint32_t doc, std::string text)>& on_text);
// Errors: bad_format naming file and row: duplicate query id, a judgement for an unknown query or
// document, no query with judgements.
QuerySet read_queries(const Slice& slice, const TaskContext& context, const Corpus& corpus);

// Texts without white space at both ends, as Python's str.strip() has it.
std::string_view strip(std::string_view text);

// Scores per-query rankings in bounded memory: takes them query by query.
class RankingScorer {
 public:
  RankingScorer(const QuerySet& queries, const Corpus& corpus, ThreadPool& pool)
      : queries_(queries), corpus_(corpus), pool_(pool) {}
  struct Scored {
    float score;
    uint32_t doc;
  };
  void add(size_t query, std::span<const Scored> ranking);
  Scores finish(const std::string& main_score);

 private:
  void flush();
  const QuerySet& queries_;
  const Corpus& corpus_;
  ThreadPool& pool_;
  RankingScores total_;
  std::vector<std::vector<RankedDoc>> rankings_;
  std::vector<std::vector<Judgement>> qrels_;
  std::vector<std::string_view> ids_, all_ids_;
};

// The per-query values of the main score ("ndcg_at_10") as items; nothing for another metric.
std::optional<store::ItemScores> ranking_items(const RankingScores& scores,
                                               const std::string& main_score,
                                               std::span<const std::string_view> ids);

}  // namespace akin::eval
