// Search over one moment of an index: by vector, by words, or both.
#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "core/counters.h"
#include "index/index_files.h"
#include "index/rank_fusion.h"
#include "index/words_postings.h"

namespace akin::index {

struct FolderIndex::Query {
  const SearchOptions& options;
  const Snapshot& snapshot;
  std::vector<float> vector;
  std::shared_ptr<const AllowedDocuments> filtered;  // null: no filter
  RowMask rows() const { return filtered ? RowMask(filtered->rows) : RowMask(snapshot.live_rows); }
  std::span<const uint64_t> positions() const {
    return filtered ? std::span<const uint64_t>(filtered->positions) : std::span<const uint64_t>();
  }
  size_t answers() const { return filtered ? filtered->count : snapshot.live.rows.size(); }
};

namespace {

std::vector<float> check_vector(std::span<const float> vector, const IndexSpec& spec) {
  if (vector.size() != spec.vectors.dims) {
    throw_error(ErrorKind::usage, "vector", "has {} numbers, the index {}", vector.size(),
                spec.vectors.dims);
  }
  std::vector<float> out(vector.begin(), vector.end());
  double sum = 0;
  for (const float x : out) sum += static_cast<double>(x) * x;
  if (!std::isfinite(sum))
    throw_error(ErrorKind::usage, "vector", "holds a number that is not one");
  if (spec.similarity == "cosine" && sum > 0 && std::abs(sum - 1) > 1e-5) {
    const double scale = 1 / std::sqrt(sum);
    for (float& x : out) x = static_cast<float>(x * scale);
  }
  return out;
}

bool better(const RowHit& a, const RowHit& b) {
  return a.score > b.score || (a.score == b.score && a.row < b.row);
}

// The allowed rows from `first` on.
std::vector<uint64_t> tail_mask(RowMask allowed, size_t first, size_t rows) {
  std::vector<uint64_t> out((rows + 63) / 64, 0);
  for (size_t word = first / 64; word < out.size(); ++word) {
    out[word] = allowed.empty() ? ~uint64_t{0} : allowed[word];
  }
  if (first / 64 < out.size()) out[first / 64] &= ~uint64_t{0} << (first % 64);
  if (rows % 64 != 0 && !out.empty()) out.back() &= ~uint64_t{0} >> (64 - rows % 64);
  return out;
}

// Row hits as positions of live documents.
std::vector<Ranked> to_positions(const std::vector<RowHit>& hits, const Snapshot& snapshot) {
  std::vector<Ranked> out;
  out.reserve(hits.size());
  for (const auto& hit : hits) {
    const auto& rows = snapshot.live.rows;
    const auto at = std::lower_bound(rows.begin(), rows.end(), hit.row);
    if (at == rows.end() || *at != hit.row) continue;
    out.push_back({static_cast<uint32_t>(at - rows.begin()), hit.score});
  }
  return out;
}

}  // namespace

// Under this many possible answers looking at each is as fast as anything and exact.
constexpr size_t kFewRows = 20000;

// A funnel for a few answers keeps as many as one for this many: the first stage is a scan of all
// rows, beside which a few thousand more to score again cost nothing and lose fewer.
constexpr size_t kFunnelLeast = 64;

Method FolderIndex::choose_method(const Query& query, size_t k) const {
  if (query.options.method != Method::automatic) return query.options.method;
  const size_t answers = query.answers();
  if (answers <= kFewRows || query.options.code) return Method::exact;
  // A graph that may hardly answer with what it finds walks too far.
  if (spec_.graph && !query.options.once && k <= 1000 &&
      answers * 8 >= static_cast<size_t>(query.snapshot.state.rows)) {
    try {
      const Hnsw* graph = query.snapshot.graph->get();
      const auto rows = static_cast<size_t>(query.snapshot.state.rows);
      if (graph != nullptr && graph->rows() <= rows && graph->rows() * 2 >= rows) {
        return Method::graph;
      }
    } catch (const Error& error) {
      count_event(
          "index_graph_unreadable", 1,
          fmt::format("{}; searching without it, index compact makes it anew", error.what()));
    }
  }
  return spec_.vectors.extra.empty() ? Method::exact : Method::funnel;
}

std::vector<RowHit> FolderIndex::by_graph(const Query& query, const Hnsw& graph, size_t k) const {
  const auto& snapshot = query.snapshot;
  const auto rows = static_cast<size_t>(snapshot.state.rows);
  const size_t breadth = std::max(
      k, query.options.breadth != 0 ? query.options.breadth : std::max<size_t>(400, 4 * k));
  std::vector<RowHit> hits;
  if (graph.rows() > 0) hits = graph.search(query.vector, k, breadth, query.rows());
  if (graph.rows() < rows) {
    const auto tail = tail_mask(query.rows(), graph.rows(), rows);
    const MatView<const float> one(query.vector.data(), 1, query.vector.size());
    const auto more =
        snapshot.vectors->scan(one, k, {spec_.vectors.full, spec_.vectors.dims}, tail, threads_);
    hits.insert(hits.end(), more.front().begin(), more.front().end());
    std::sort(hits.begin(), hits.end(), better);
  }
  hits.resize(std::min(k, hits.size()));
  return hits;
}

std::vector<RowHit> FolderIndex::by_vector(const Query& query, size_t k) const {
  const auto& snapshot = query.snapshot;
  const auto rows = static_cast<size_t>(snapshot.state.rows);
  k = std::min(k, query.answers());
  if (k == 0) return {};
  switch (choose_method(query, k)) {
    case Method::graph: {
      const Hnsw* graph = spec_.graph ? snapshot.graph->get() : nullptr;
      if (graph == nullptr || graph->rows() > rows) {
        throw_error(ErrorKind::usage, "method", "the index has no graph{}",
                    spec_.graph ? " yet; compacting it makes one" : "; build it with one");
      }
      return by_graph(query, *graph, k);
    }
    case Method::funnel: {
      if (spec_.vectors.extra.empty() && query.options.stages.empty()) {
        throw_error(ErrorKind::usage, "method",
                    "the index has no codes for a funnel; build it with some, such as binary:{}",
                    spec_.vectors.dims);
      }
      const auto stages =
          query.options.stages.empty()
              ? funnel_schedule(spec_.vectors, query.answers(), std::max(k, kFunnelLeast))
              : query.options.stages;
      auto hits = snapshot.vectors->funnel(query.vector, stages, query.rows(), threads_);
      hits.resize(std::min(k, hits.size()));
      return hits;
    }
    default: {
      const CodeSpec code =
          query.options.code.value_or(CodeSpec{spec_.vectors.full, spec_.vectors.dims});
      const MatView<const float> one(query.vector.data(), 1, query.vector.size());
      return std::move(snapshot.vectors->scan(one, k, code, query.rows(), threads_).front());
    }
  }
}

std::vector<SearchHit> FolderIndex::search(std::string_view text, std::span<const float> vector,
                                           const SearchOptions& options) const {
  const bool by_words = options.mode != Mode::vector, by_vectors = options.mode != Mode::words;
  if (by_words && !spec_.words) {
    throw_error(ErrorKind::usage, "mode", "the index keeps no words; only vector can be searched");
  }
  Reader reader(*this, Reader::Sees::snapshot);
  const Snapshot& snapshot = reader.snapshot();
  Query query{options, snapshot, {}, nullptr};
  if (by_vectors) query.vector = check_vector(vector, spec_);
  if (!options.filter.empty()) {
    query.filtered = filters_.allowed(options.filter, snapshot, reader.store());
  }
  const bool both = by_words && by_vectors;
  const size_t each =
      !both ? options.k
            : std::max(options.k, options.candidates != 0 ? options.candidates
                                                          : std::max<size_t>(100, 4 * options.k));
  std::vector<Ranked> near, worded;
  if (by_vectors) near = to_positions(by_vector(query, each), snapshot);
  if (by_words) {
    const WordDocuments documents{snapshot.live.numbers, snapshot.live.words,
                                  static_cast<uint64_t>(snapshot.state.total_words)};
    const PostingCache::Moment moment{snapshot.state.generation, snapshot.state.next_number,
                                      snapshot.state.removed};
    for (const auto& hit : search_words(reader.store().database(), text, each, documents,
                                        query.positions(), postings_, moment)) {
      worded.push_back({hit.position, hit.score});
    }
  }
  std::vector<SearchHit> out;
  const auto take = [&](uint32_t position, double score) -> SearchHit& {
    auto& hit = out.emplace_back();
    hit.score = score;
    hit.document = reader.store().read(snapshot.live.numbers[position]);
    return hit;
  };
  if (both) {
    for (const auto& hit : fuse_ranks(near, worded, options.k, options.fusion_constant)) {
      auto& made = take(hit.item, hit.score);
      made.similarity = hit.first;
      made.bm25 = hit.second;
    }
  } else {
    for (const auto& hit : by_words ? worded : near) take(hit.item, hit.score);
  }
  return out;
}

}  // namespace akin::index
