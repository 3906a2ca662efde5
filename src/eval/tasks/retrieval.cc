// Retrieval: are the documents most alike to a query the ones judged relevant?
//
// Computes  the 1000 most similar documents of each query, exactly, and trec_eval's measures.
// Data      BEIR: corpus (id, title, text), queries (id, text), qrels (query-id, corpus-id, score).
// Options   ignore_identical_ids, allow_duplicate_ids, allow_unknown_ids.
// Returns   ndcg_at_k, map_at_k, recall_at_k, ... (ranking.h); main ndcg_at_10.
// Errors    bad_format for duplicate ids, judgements of unknown ids, empty files.
// Source    mteb 2.20 AbsTaskRetrieval; trec_eval 9.0.8.
#include <algorithm>

#include "base/error.h"
#include "base/threads.h"
#include "eval/cached_encoder.h"
#include "eval/pair_scores.h"
#include "eval/retrieval_data.h"
#include "eval/task.h"
#include "eval/task_data.h"
#include "index/flat.h"

namespace akin::eval {
namespace {

constexpr size_t kTopDocuments = 1000;
constexpr size_t kChunkDocuments = 8192;
constexpr size_t kBlockQueries = 512;  // whose rankings are sorted and scored together

class RetrievalTask final : public Task {
 public:
  std::string_view default_main_score() const override { return "ndcg_at_10"; }
  std::vector<Scores> evaluate(const Slice& slice, TaskContext& context) override {
    const Corpus corpus = read_corpus_ids(slice, context);
    const QuerySet queries = read_queries(slice, context, corpus);
    auto searches = search(slice, context, corpus, queries);
    std::vector<Scores> out;
    for (auto& found : searches) {
      out.push_back(score(found, corpus, queries, context));
      found.reset();
    }
    return out;
  }

 private:
  using Search = std::optional<index::FlatSearch>;

  static std::vector<Search> search(const Slice& slice, TaskContext& context, const Corpus& corpus,
                                    const QuerySet& queries) {
    CachedEncoder& encoder = context.encoder;
    std::vector<Search> out;
    {
      const auto prompt = choose_prompt(encoder.info(), context.spec, TextSide::query);
      const Mat<float> vectors = encoder.encode(queries.texts, prompt, context.progress);
      for (const size_t dim : context.dims) {
        const Mat<float> rows = similarity_rows(vectors.view(), dim, encoder);
        out.emplace_back(std::in_place, rows.view(), kTopDocuments, context.pool);
      }
    }
    const auto prompt = choose_prompt(encoder.info(), context.spec, TextSide::document);
    std::vector<std::string> texts;
    uint32_t begin = 0;
    const auto flush = [&] {
      const Mat<float> vectors = encoder.encode(texts, prompt, nullptr);
      for (size_t i = 0; i < context.dims.size(); ++i) {
        const Mat<float> rows = similarity_rows(vectors.view(), context.dims[i], encoder);
        out[i]->add(rows.view(), begin,
                    std::span<const uint32_t>(corpus.ranks).subspan(begin, texts.size()));
      }
      begin += static_cast<uint32_t>(texts.size());
      texts.clear();
      if (context.progress) {
        context.progress({"searching", begin, corpus.ids.size(), "documents"});
      }
    };
    each_document(slice, context, corpus, [&](uint32_t, std::string text) {
      texts.push_back(std::move(text));
      if (texts.size() == kChunkDocuments) flush();
    });
    if (!texts.empty()) flush();
    return out;
  }

  static Scores score(const Search& found, const Corpus& corpus, const QuerySet& queries,
                      const TaskContext& context) {
    RankingScorer scorer(queries, corpus, context.pool);
    std::vector<std::vector<RankingScorer::Scored>> rankings(kBlockQueries);
    for (size_t begin = 0; begin < queries.ids.size(); begin += kBlockQueries) {
      const size_t n = std::min(kBlockQueries, queries.ids.size() - begin);
      parallel_for(context.pool, n, 8, [&](size_t i, size_t) {
        rankings[i].clear();
        for (const auto& hit : found->result(begin + i)) {
          if (context.spec.ignore_identical_ids && corpus.ids[hit.doc] == queries.ids[begin + i])
            continue;
          rankings[i].push_back({hit.score, hit.doc});
        }
      });
      for (size_t i = 0; i < n; ++i) scorer.add(begin + i, rankings[i]);
    }
    return scorer.finish(context.spec.main_score);
  }
};

}  // namespace

std::unique_ptr<Task> make_retrieval_task() { return std::make_unique<RetrievalTask>(); }

}  // namespace akin::eval
