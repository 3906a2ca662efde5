#include "eval/retrieval_data.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.h"

namespace akin::eval {
namespace {

constexpr std::string_view kIdColumns = "_id|id|doc_id|corpus-id|query_id|query-id";

// Python's white space at the front of the text; its length in bytes, 0 for none.
size_t leading_space(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0; };
  const uint8_t first = static_cast<uint8_t>(byte(0));
  if ((first >= 0x09 && first <= 0x0D) || (first >= 0x1C && first <= 0x20)) return 1;
  if (first == 0xC2 && (byte(1) == 0x85 || byte(1) == 0xA0)) return 2;
  if (text.starts_with("\xE1\x9A\x80") || text.starts_with("\xE2\x81\x9F") ||
      text.starts_with("\xE3\x80\x80")) {
    return 3;
  }
  if (first == 0xE2 && byte(1) == 0x80 &&
      ((byte(2) >= 0x80 && byte(2) <= 0x8A) || byte(2) == 0xA8 || byte(2) == 0xA9 ||
       byte(2) == 0xAF)) {
    return 3;
  }
  return 0;
}

// Judgements by query id, with the place of the first of each query.
struct Qrels {
  struct Query {
    std::vector<QuerySet::Judged> judged;
    std::string where;
    bool seen = false;
  };
  std::unordered_map<std::string, Query> by_query;
  std::vector<std::string> unknown_docs;
};

void add_judgement(std::vector<QuerySet::Judged>& judged, uint32_t doc, int32_t relevance) {
  const auto it = std::find_if(judged.begin(), judged.end(),
                               [doc](const auto& entry) { return entry.doc == doc; });
  if (it != judged.end()) {
    it->relevance = relevance;  // the last line counts, as in mteb
  } else {
    judged.push_back({doc, relevance});
  }
}

Qrels read_qrels(const Slice& slice, const TaskContext& context, const Corpus& corpus) {
  Qrels out;
  const TaskSpec& spec = context.spec;
  const std::string columns[] = {column(spec, "query-id", "query-id|query_id|qid"),
                                 column(spec, "corpus-id", "corpus-id|corpus_id|doc_id|pid"),
                                 column(spec, "relevance", "score?")};
  std::unordered_map<std::string, uint32_t> unknown;
  context.data.each_row("qrels", slice, columns, [&](auto values, const auto& reader) {
    const std::string query = text_of(values[0], reader, columns[0]);
    const std::string doc = text_of(values[1], reader, columns[1]);
    const int64_t score =
        values[2].is_null() ? 1 : store::as_integer(values[2], reader, columns[2]);
    constexpr int64_t kMostRelevance = int64_t{1} << 30;
    if (score > kMostRelevance || score < -kMostRelevance) {
      throw_error(ErrorKind::bad_format, reader.where(),
                  "the relevance is {}, expected a grade within {} of 0; repair the row", score,
                  kMostRelevance);
    }
    const auto relevance = static_cast<int32_t>(score);
    auto& entry = out.by_query[query];
    if (entry.where.empty()) entry.where = reader.where();
    if (const auto it = corpus.numbers.find(doc); it != corpus.numbers.end()) {
      add_judgement(entry.judged, it->second, relevance);
      return;
    }
    if (!spec.allow_unknown_ids) {
      throw_error(ErrorKind::bad_format, reader.where(),
                  "query {} is judged against document {}, which the corpus of {} documents does "
                  "not have; complete the corpus, delete the row, or set allow_unknown_ids to "
                  "count it as never found",
                  quote(query), quote(doc), corpus.ids.size());
    }
    const auto [it, fresh] =
        unknown.try_emplace(doc, static_cast<uint32_t>(out.unknown_docs.size()));
    if (fresh) out.unknown_docs.push_back(doc);
    add_judgement(entry.judged, kUnknownDoc + it->second, relevance);
  });
  return out;
}

// A query's text: the items of a conversation joined, the instruction behind it.
std::string query_text(const store::Value& text, const store::Value& instruction,
                       const store::RowReader& reader) {
  std::string out = fmt::format("{}", fmt::join(texts_of(text, reader, "text"), "; "));
  if (!instruction.is_null()) {
    const std::string words = text_of(instruction, reader, "instruction");
    if (!words.empty()) out += " " + words;
  }
  return out;
}

}  // namespace

std::string_view strip(std::string_view text) {
  while (const size_t size = leading_space(text)) text.remove_prefix(size);
  while (!text.empty()) {
    size_t size = 0;
    for (size_t length = 1; length <= 3 && length <= text.size(); ++length) {
      if (leading_space(text.substr(text.size() - length)) == length) size = length;
    }
    if (size == 0) break;
    text.remove_suffix(size);
  }
  return text;
}

std::string_view Corpus::id_of(const QuerySet& queries, uint32_t doc) const {
  return doc >= kUnknownDoc ? std::string_view(queries.unknown_docs[doc - kUnknownDoc]) : ids[doc];
}

Corpus read_corpus_ids(const Slice& slice, const TaskContext& context) {
  Corpus out;
  const std::string columns[] = {column(context.spec, "id", kIdColumns)};
  std::unordered_map<std::string, std::string> places;  // id -> where it was first
  context.data.each_row("corpus", slice, columns, [&](auto values, const auto& reader) {
    std::string id = text_of(values[0], reader, columns[0]);
    const auto [it, fresh] = places.try_emplace(id, std::string());
    if (!fresh) {
      if (context.spec.allow_duplicate_ids) return;
      throw_error(ErrorKind::bad_format, reader.where(),
                  "document id {} is there already; ids must differ: rename or delete one of the "
                  "rows, or set allow_duplicate_ids to keep the first",
                  quote(id));
    }
    out.ids.push_back(std::move(id));
  });
  std::unordered_map<std::string, std::string>().swap(places);
  if (out.ids.size() >= kUnknownDoc) {
    throw_error(ErrorKind::unsupported, context.data.folder().string(), "{} documents, at most {}",
                out.ids.size(), kUnknownDoc - 1);
  }
  out.numbers.reserve(out.ids.size());
  for (uint32_t i = 0; i < out.ids.size(); ++i) out.numbers.emplace(out.ids[i], i);
  std::vector<uint32_t> order(out.ids.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return out.ids[a] < out.ids[b]; });
  out.ranks.resize(order.size());
  for (uint32_t i = 0; i < order.size(); ++i) out.ranks[order[i]] = i;
  return out;
}

void each_document(const Slice& slice, const TaskContext& context, const Corpus& corpus,
                   const std::function<void(uint32_t doc, std::string text)>& on_text) {
  const std::string columns[] = {column(context.spec, "id", kIdColumns),
                                 column(context.spec, "text", "text"),
                                 column(context.spec, "title", "title?")};
  uint32_t next = 0;
  context.data.each_row("corpus", slice, columns, [&](auto values, const auto& reader) {
    const std::string id = text_of(values[0], reader, columns[0]);
    if (next >= corpus.ids.size() || corpus.ids[next] != id) {
      if (corpus.numbers.count(id) != 0 && context.spec.allow_duplicate_ids) return;
      throw_error(ErrorKind::bad_format, reader.where(),
                  "the corpus changed while it was read; run again");
    }
    std::string text = values[1].is_null() ? "" : text_of(values[1], reader, columns[1]);
    const std::string title = values[2].is_null() ? "" : text_of(values[2], reader, columns[2]);
    if (!title.empty()) text = title + " " + text;
    on_text(next++, std::string(strip(text)));
  });
}

QuerySet read_queries(const Slice& slice, const TaskContext& context, const Corpus& corpus) {
  QuerySet out;
  Qrels qrels = read_qrels(slice, context, corpus);
  const TaskSpec& spec = context.spec;
  const std::string columns[] = {column(spec, "query-row-id", "_id|id|query_id|query-id|qid"),
                                 column(spec, "query", "text|query"),
                                 column(spec, "instruction", "instruction?")};
  context.data.each_row("queries", slice, columns, [&](auto values, const auto& reader) {
    std::string id = text_of(values[0], reader, columns[0]);
    const auto it = qrels.by_query.find(id);
    if (it == qrels.by_query.end()) return;
    if (it->second.seen) {
      throw_error(ErrorKind::bad_format, reader.where(),
                  "query id {} is there already; ids must differ: rename or delete one of the rows",
                  quote(id));
    }
    it->second.seen = true;
    out.texts.push_back(query_text(values[1], values[2], reader));
    out.ids.push_back(std::move(id));
    out.qrels.push_back(std::move(it->second.judged));
  });
  out.unknown_docs = std::move(qrels.unknown_docs);
  const Qrels::Query* unknown = nullptr;
  const std::string* unknown_id = nullptr;
  for (const auto& [id, query] : qrels.by_query) {
    if (query.seen || (unknown_id != nullptr && *unknown_id < id)) continue;
    unknown = &query;
    unknown_id = &id;
  }
  if (unknown != nullptr && !spec.allow_unknown_ids) {
    throw_error(ErrorKind::bad_format, unknown->where,
                "query {} has judgements, but the queries do not have it; complete the queries, "
                "delete the row, or set allow_unknown_ids to leave it out",
                quote(*unknown_id));
  }
  if (out.ids.empty()) {
    throw_error(ErrorKind::bad_format, context.data.folder().string(),
                "no query of split \"{}\" has judgements; check that qrels and queries belong "
                "together",
                slice.split);
  }
  return out;
}

void RankingScorer::add(size_t query, std::span<const Scored> ranking) {
  auto& docs = rankings_.emplace_back();
  docs.reserve(ranking.size());
  for (const auto& hit : ranking) docs.push_back({hit.score, corpus_.id_of(queries_, hit.doc)});
  auto& judged = qrels_.emplace_back();
  for (const auto& entry : queries_.qrels[query]) {
    judged.push_back({corpus_.id_of(queries_, entry.doc), entry.relevance});
  }
  ids_.emplace_back(queries_.ids[query]);
  if (rankings_.size() >= 512) flush();
}

void RankingScorer::flush() {
  if (rankings_.empty()) return;
  std::vector<RankedQuery> batch;
  for (size_t i = 0; i < rankings_.size(); ++i) batch.push_back({ids_[i], rankings_[i], qrels_[i]});
  RankingScores scores = evaluate_ranking(batch, kDefaultCutoffs, pool_);
  total_.cutoffs = scores.cutoffs;
  const auto append = [](auto& to, auto& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  };
  append(total_.ndcg, scores.ndcg);
  append(total_.map, scores.map);
  append(total_.recall, scores.recall);
  append(total_.precision, scores.precision);
  append(total_.success, scores.success);
  append(total_.mrr, scores.mrr);
  append(total_.confidence_max, scores.confidence_max);
  append(total_.confidence_std, scores.confidence_std);
  append(total_.confidence_diff, scores.confidence_diff);
  all_ids_.insert(all_ids_.end(), ids_.begin(), ids_.end());
  rankings_.clear();
  qrels_.clear();
  ids_.clear();
  check_interrupted();
}

Scores RankingScorer::finish(const std::string& main_score) {
  flush();
  Scores out;
  for (const auto& [name, value] : total_.aggregate()) out.metrics[name] = value;
  out.items = ranking_items(total_, main_score, all_ids_);
  return out;
}

std::optional<store::ItemScores> ranking_items(const RankingScores& scores,
                                               const std::string& main_score,
                                               std::span<const std::string_view> ids) {
  const std::pair<std::string_view, const std::vector<std::vector<double>>*> kinds[] = {
      {"ndcg_at_", &scores.ndcg},        {"map_at_", &scores.map},
      {"recall_at_", &scores.recall},    {"precision_at_", &scores.precision},
      {"hit_rate_at_", &scores.success}, {"mrr_at_", &scores.mrr}};
  for (const auto& [prefix, values] : kinds) {
    if (!main_score.starts_with(prefix)) continue;
    for (size_t k = 0; k < scores.cutoffs.size(); ++k) {
      if (main_score.substr(prefix.size()) != std::to_string(scores.cutoffs[k])) continue;
      store::ItemScores out;
      for (const auto& query : *values) out.values.push_back(query.at(k));
      out.ids.assign(ids.begin(), ids.end());
      return out;
    }
  }
  return std::nullopt;
}

}  // namespace akin::eval
