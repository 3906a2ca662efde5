// Reranking: are the relevant ones of a query's own candidates ranked first?
//
// Computes  similarity of each query with its candidates, and trec_eval's measures.
// Data      corpus, queries, qrels and top_ranked (query-id, corpus-ids); or rows of query (a text,
//           or several), positive and negative (lists), where rows that lack one of them are left
//           out. Of more than 1000 candidates the best 1000 count.
// Options   max_over_subqueries: query ids are <base>_<n>; a document's score for a base is its
//           greatest over the sub-queries (MIND). allow_unknown_ids.
// Returns   map_at_k, ndcg_at_k, ... (ranking.h); main map_at_1000. Under max_over_subqueries these
//           are of the bases, each name with that word in front; none of single sub-queries.
// Errors    bad_format for judgements or candidates of unknown ids, a query without candidates, no
//           row that can be scored.
// Source    mteb 2.20 AbsTaskReranking.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "eval/cached_encoder.h"
#include "eval/pair_scores.h"
#include "eval/retrieval_data.h"
#include "eval/task.h"
#include "eval/task_data.h"

namespace akin::eval {
namespace {

constexpr size_t kChunkQueries = 16384;
constexpr size_t kTopDocuments = 1000;

// What both forms of the data come down to. A query may have several texts: the greatest score
// counts.
struct Lists {
  Corpus corpus;
  std::vector<std::string> documents;  // texts, by number
  QuerySet queries;                    // one text for each
  std::vector<std::vector<uint32_t>> candidates;
  std::vector<uint32_t> group;  // of each query: the ranking that it contributes to
  QuerySet groups;              // ids and qrels of the rankings; no texts
};

void rank_ids(Corpus& corpus) {
  for (uint32_t i = 0; i < corpus.ids.size(); ++i) corpus.numbers.emplace(corpus.ids[i], i);
}

// Rows of query, positive, negative; ids as mteb's converter makes them.
Lists read_rows(const Slice& slice, const TaskContext& context) {
  Lists out;
  const TaskSpec& spec = context.spec;
  const std::string columns[] = {column(spec, "query", "query"),
                                 column(spec, "positive", "positive|pos"),
                                 column(spec, "negative", "negative|neg")};
  context.data.each_row("rows", slice, columns, [&](auto values, const auto& reader) {
    auto texts = texts_of(values[0], reader, columns[0]);
    auto positive = texts_of(values[1], reader, columns[1]);
    auto negative = texts_of(values[2], reader, columns[2]);
    if (positive.empty() || negative.empty() || texts.empty()) return;
    const size_t number = out.groups.ids.size();
    std::vector<uint32_t> candidates;
    std::vector<QuerySet::Judged> judged;
    const auto add = [&](std::vector<std::string>& documents, const char* kind, int32_t relevance) {
      for (size_t i = 0; i < documents.size(); ++i) {
        const auto doc = static_cast<uint32_t>(out.documents.size());
        out.corpus.ids.push_back(fmt::format("{}_{}_query{}_{:05}", kind, slice.split, number, i));
        out.documents.emplace_back(strip(documents[i]));
        candidates.push_back(doc);
        judged.push_back({doc, relevance});
      }
    };
    add(positive, "apositive", 1);
    add(negative, "negative", 0);
    out.groups.ids.push_back(fmt::format("{}_query{}", slice.split, number));
    out.groups.qrels.push_back(std::move(judged));
    for (auto& text : texts) {
      out.queries.texts.push_back(std::move(text));
      out.candidates.push_back(candidates);
      out.group.push_back(static_cast<uint32_t>(number));
    }
  });
  if (out.groups.ids.empty()) {
    throw_error(ErrorKind::bad_format, context.data.folder().string(),
                "no row of split \"{}\" has both a {} and a {} document; there is nothing to rank",
                slice.split, store::column_words(columns[1]), store::column_words(columns[2]));
  }
  rank_ids(out.corpus);
  return out;
}

// Queries of one base share a ranking; the judgements of the last one count.
void group_subqueries(Lists& lists) {
  std::unordered_map<std::string, uint32_t> numbers;
  for (size_t q = 0; q < lists.queries.ids.size(); ++q) {
    const std::string& id = lists.queries.ids[q];
    const std::string base = id.substr(0, id.rfind('_'));
    const auto [it, fresh] =
        numbers.try_emplace(base, static_cast<uint32_t>(lists.groups.ids.size()));
    if (fresh) {
      lists.groups.ids.push_back(base);
      lists.groups.qrels.emplace_back();
    }
    lists.group.push_back(it->second);
    lists.groups.qrels[it->second] = lists.queries.qrels[q];
  }
}

// A query that is judged, but has nothing to rank, would count as 0.
void check_candidates(const Lists& lists, const Slice& slice, const TaskContext& context) {
  if (context.spec.allow_unknown_ids) return;
  std::vector<bool> has(lists.groups.ids.size());
  for (size_t q = 0; q < lists.candidates.size(); ++q) {
    if (!lists.candidates[q].empty()) has[lists.group[q]] = true;
  }
  const auto without = std::find(has.begin(), has.end(), false);
  if (without == has.end()) return;
  throw_error(ErrorKind::bad_format, context.data.files("top_ranked", slice).paths.front().string(),
              "query {} has judgements, but no candidates; add its row, delete its judgements, or "
              "set allow_unknown_ids to count it as 0",
              quote(lists.groups.ids[static_cast<size_t>(without - has.begin())]));
}

void read_candidates(const Slice& slice, const TaskContext& context, Lists& out) {
  std::unordered_map<std::string_view, size_t> numbers;
  for (size_t q = 0; q < out.queries.ids.size(); ++q) numbers.emplace(out.queries.ids[q], q);
  out.candidates.resize(out.queries.ids.size());
  const std::string columns[] = {column(context.spec, "query-id", "query-id|query_id|qid"),
                                 column(context.spec, "corpus-ids", "corpus-ids|corpus_ids")};
  context.data.each_row("top_ranked", slice, columns, [&](auto values, const auto& reader) {
    const auto query = numbers.find(text_of(values[0], reader, columns[0]));
    if (query == numbers.end()) return;
    auto& list = out.candidates[query->second];
    for (const auto& id : texts_of(values[1], reader, columns[1])) {
      const auto doc = out.corpus.numbers.find(id);
      if (doc != out.corpus.numbers.end()) {
        list.push_back(doc->second);
      } else if (!context.spec.allow_unknown_ids) {
        throw_error(ErrorKind::bad_format, reader.where(),
                    "candidate {} is not in the corpus; complete the corpus, or set "
                    "allow_unknown_ids to leave it out",
                    quote(id));
      }
    }
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  });
}

Lists read_collections(const Slice& slice, const TaskContext& context) {
  Lists out;
  out.corpus = read_corpus_ids(slice, context);
  each_document(slice, context, out.corpus,
                [&](uint32_t, std::string text) { out.documents.push_back(std::move(text)); });
  out.queries = read_queries(slice, context, out.corpus);
  read_candidates(slice, context, out);
  if (context.spec.max_over_subqueries) {
    group_subqueries(out);
  } else {
    out.groups.ids = out.queries.ids;
    out.groups.qrels = out.queries.qrels;
    for (uint32_t q = 0; q < out.queries.ids.size(); ++q) out.group.push_back(q);
  }
  out.groups.unknown_docs = out.queries.unknown_docs;
  check_candidates(out, slice, context);
  return out;
}

using Rankings = std::vector<std::vector<RankingScorer::Scored>>;

void keep_best(std::vector<RankingScorer::Scored>& found, const Corpus& corpus) {
  if (found.size() <= kTopDocuments) return;
  const auto key = [](float score) {  // what is not a number stays, for the ranking to report
    return std::isnan(score) ? std::numeric_limits<float>::infinity() : score;
  };
  std::nth_element(found.begin(), found.begin() + kTopDocuments, found.end(),
                   [&](const auto& a, const auto& b) {
                     const float left = key(a.score), right = key(b.score);
                     return left != right ? left > right : corpus.ids[a.doc] > corpus.ids[b.doc];
                   });
  found.resize(kTopDocuments);
}

// Adds the scores of one query to its group's ranking; of equal documents the greater stays.
void add_scores(const Lists& lists, size_t query, const float* vector,
                MatView<const float> documents, Rankings& rankings) {
  std::vector<RankingScorer::Scored> found;
  found.reserve(lists.candidates[query].size());
  for (const uint32_t doc : lists.candidates[query]) {
    found.push_back({dot(vector, documents.row(doc), documents.cols()), doc});
  }
  keep_best(found, lists.corpus);
  auto& ranking = rankings[lists.group[query]];
  if (ranking.empty()) {
    ranking = std::move(found);
    return;
  }
  std::unordered_map<uint32_t, size_t> places;
  for (size_t i = 0; i < ranking.size(); ++i) places.emplace(ranking[i].doc, i);
  for (const auto& hit : found) {
    const auto it = places.find(hit.doc);
    if (it == places.end()) {
      ranking.push_back(hit);
    } else {
      ranking[it->second].score = std::max(ranking[it->second].score, hit.score);
    }
  }
}

class RerankingTask final : public Task {
 public:
  std::string_view default_main_score() const override { return "map_at_1000"; }
  std::vector<Scores> evaluate(const Slice& slice, TaskContext& context) override {
    const bool collections = !context.data.find("top_ranked", slice).paths.empty();
    const Lists lists = collections ? read_collections(slice, context) : read_rows(slice, context);
    CachedEncoder& encoder = context.encoder;
    const auto prompt = choose_prompt(encoder.info(), context.spec, TextSide::document);
    const Mat<float> vectors = encoder.encode(lists.documents, prompt, context.progress);
    std::vector<Mat<float>> documents;
    documents.reserve(context.dims.size());
    for (const size_t dim : context.dims) {
      documents.push_back(similarity_rows(vectors.view(), dim, encoder));
    }
    std::vector<Rankings> rankings(context.dims.size(), Rankings(lists.groups.ids.size()));
    rank(lists, documents, context, rankings);
    std::vector<Scores> out;
    out.reserve(rankings.size());
    for (auto& ranking : rankings) out.push_back(score(lists, ranking, context));
    return out;
  }

 private:
  static void rank(const Lists& lists, const std::vector<Mat<float>>& documents,
                   TaskContext& context, std::vector<Rankings>& rankings) {
    CachedEncoder& encoder = context.encoder;
    const auto prompt = choose_prompt(encoder.info(), context.spec, TextSide::query);
    const std::span<const std::string> texts = lists.queries.texts;
    for (size_t begin = 0; begin < texts.size(); begin += kChunkQueries) {
      const size_t count = std::min(kChunkQueries, texts.size() - begin);
      const Mat<float> vectors =
          encoder.encode(texts.subspan(begin, count), prompt, context.progress);
      for (size_t d = 0; d < context.dims.size(); ++d) {
        const Mat<float> rows = similarity_rows(vectors.view(), context.dims[d], encoder);
        for (size_t i = 0; i < count; ++i) {
          add_scores(lists, begin + i, rows.row(i), documents[d].view(), rankings[d]);
        }
      }
      check_interrupted();
    }
  }

  static Scores score(const Lists& lists, const Rankings& rankings, const TaskContext& context) {
    const std::string& main_score = context.spec.main_score;
    constexpr std::string_view kPrefix = "max_over_subqueries_";
    const bool grouped = context.spec.max_over_subqueries;
    RankingScorer scorer(lists.groups, lists.corpus, context.pool);
    for (size_t q = 0; q < rankings.size(); ++q) scorer.add(q, rankings[q]);
    const bool prefixed = grouped && main_score.starts_with(kPrefix);
    Scores scores = scorer.finish(prefixed ? main_score.substr(kPrefix.size()) : main_score);
    if (!grouped) return scores;
    Scores out;
    for (const auto& [name, value] : scores.metrics.items()) {
      out.metrics[std::string(kPrefix) + name] = value;
    }
    out.items = std::move(scores.items);
    return out;
  }
};

}  // namespace

std::unique_ptr<Task> make_reranking_task() { return std::make_unique<RerankingTask>(); }

}  // namespace akin::eval
