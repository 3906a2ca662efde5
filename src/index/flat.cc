// See flat.h. Queries are the packed side of the product, in blocks; documents pass by in strips.
// While a strip's scores are in cache, those that reach the query's threshold are added to its best
// (flat_best.h). Where the machine has the units for it, most documents are ruled out before
// (flat_bounds.h), and products are left for the queries with which that did not go well.
#include "index/flat.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/progress.h"
#include "index/flat_best.h"
#include "index/flat_bounds.h"
#include "index/flat_select.h"
#include "kernels/linear.h"

namespace akin::index {
namespace {

constexpr size_t kBlockQueries = 128;  // their packed form and scores stay in a core's cache
constexpr size_t kStripDocs = 256;     // a multiple of kernels::kRowBlock
constexpr size_t kSlabStrips = 16;
constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
static_assert(kStripDocs % kernels::kRowBlock == 0 && kStripDocs <= kSelectMost);

void check_finite(MatView<const float> rows, size_t first_number, std::string_view what) {
  for (size_t r = 0; r < rows.rows(); ++r) {
    if (all_finite(rows.row(r), rows.cols())) continue;
    throw_error(ErrorKind::usage, "search",
                "the vector of {} {} holds a value that is not a finite number; check the model "
                "and the text",
                what, first_number + r);
  }
}

void check_sizes(size_t queries, size_t dims, size_t k) {
  if (k > 0 && queries > 0 && dims > 0) return;
  throw_error(ErrorKind::usage, "search", "{} queries of {} dims, best {}: expected at least 1",
              queries, dims, k);
}

}  // namespace

struct FlatSearch::State {
  State(MatView<const float> queries, size_t k, ThreadPool& threads)
      : pool(threads), count(queries.rows()), dims(queries.cols()), best(count, k) {
    check_finite(queries, 0, "query");
    backend = kernels::choose_backend(Precision::f32);
    // Smaller blocks where there are few queries, so that every thread has some.
    block_queries = kBlockQueries;
    while (block_queries > kernels::kRowBlock && count / block_queries < 4 * pool.size()) {
      block_queries /= 2;
    }
    if (BoundedSearch::available(count, dims)) {
      bounded.emplace(queries, k, pool);
      block_queries = std::min(block_queries, bounded->group_queries());  // groups are whole blocks
    }
    blocks.resize((count + block_queries - 1) / block_queries);
    if (bounded) return;  // which packs blocks when they are needed
    parallel_for(pool, blocks.size(), 1, [&](size_t block, size_t) { pack(block, queries); });
  }

  void pack(size_t block, MatView<const float> queries) {
    const size_t begin = block * block_queries, n = std::min(block_queries, count - begin);
    const auto read = [&](size_t row, std::span<float> out) {
      std::copy_n(queries.row(begin + row), dims, out.begin());
    };
    blocks[block] = kernels::PackedLinear(backend, n, dims, read, {});
  }

  void add_ranks(size_t base_id, size_t rows, std::span<const uint32_t> ranks) {
    const bool ranked = !ranks.empty();
    if (documents > 0 && ranked != has_ranks) {
      throw_error(ErrorKind::usage, "search", "some documents have ranks, others have none");
    }
    has_ranks = ranked;
    if (!ranked) return;
    AKIN_CHECK(ranks.size() == rows);
    const size_t most = *std::max_element(ranks.begin(), ranks.end());
    if (most >= doc_of_rank.size()) doc_of_rank.resize(most + 1, kNone);
    for (size_t i = 0; i < rows; ++i) {
      uint32_t& doc = doc_of_rank[ranks[i]];
      if (doc != kNone) {
        throw_error(ErrorKind::usage, "search", "documents {} and {} have the same rank {}", doc,
                    base_id + i, ranks[i]);
      }
      doc = static_cast<uint32_t>(base_id + i);
    }
  }

  // scores: [documents, queries of one block], and the documents' ranks.
  void select(MatView<const float> scores, size_t block, const uint32_t* ranks, uint64_t* scratch) {
    uint32_t columns[kBlockQueries + kSelectPadding];
    float kept[kBlockQueries + kSelectPadding];
    const size_t query = block * block_queries;
    for (size_t r = 0; r < scores.rows(); ++r) {
      const size_t n =
          select_at_least(scores.row(r), best.thresholds() + query, scores.cols(), columns, kept);
      for (size_t i = 0; i < n; ++i) best.add(query + columns[i], kept[i], ranks[r], scratch);
    }
  }

  // The same where many documents are kept, query by query.
  void select_most(MatView<const float> scores, size_t block, const uint32_t* ranks,
                   float* by_query, uint64_t* scratch) {
    const size_t query = block * block_queries, n = scores.rows();
    transpose(scores.data(), n, scores.cols(), by_query);
    for (size_t q = 0; q < scores.cols(); ++q)
      best.add_run(query + q, by_query + q * n, ranks, n, scratch);
  }

  // Whether so many documents are among the best so far that most scores are looked at twice.
  bool keeps_most(size_t seen) const {
    constexpr size_t kShare = 16;
    return best.takes_runs() && seen / kShare < best.k();
  }

  // All products of the documents with the queries of `which` blocks; `seen` came before them.
  void multiply(MatView<const float> docs, size_t first, std::span<const uint32_t> ranks,
                std::span<const size_t> which, size_t seen) {
    std::vector<uint32_t> own_ranks(ranks.begin(), ranks.end());
    for (size_t r = own_ranks.size(); r < docs.rows(); ++r)
      own_ranks.push_back(~static_cast<uint32_t>(first + r));
    const size_t n = (docs.rows() + kStripDocs - 1) / kStripDocs;
    const auto rows = [&](size_t strip) {
      return std::min(kStripDocs, docs.rows() - strip * kStripDocs);
    };
    parallel_for(pool, n, 1, [&](size_t strip, size_t) {
      const MatView<const float> part = docs.row_range(strip * kStripDocs, rows(strip));
      strips[strip].reserve(backend, part.rows(), dims);
      strips[strip].set_all(part);
    });
    parallel_for(pool, which.size(), 1, [&](size_t i, size_t thread) {
      const size_t block = which[i];
      if (blocks[block].n() == 0) pack(block, bounded->queries());
      const kernels::PackedLinear& packed = blocks[block];
      for (size_t strip = 0; strip < n; ++strip) {
        const MatView<float> y(products[thread].data(), rows(strip), packed.n());
        packed.run(strips[strip], rows(strip), {}, y);
        const size_t begin = strip * kStripDocs;
        uint64_t* spare = spares[thread].data();
        if (keeps_most(seen + begin)) {
          select_most(y, block, own_ranks.data() + begin, turned[thread].data(), spare);
        } else {
          select(y, block, own_ranks.data() + begin, spare);
        }
      }
    });
  }

  // Blocks of the queries that a first pass over the documents left alone; all without one.
  std::vector<size_t> unfinished(MatView<const float> docs, size_t first,
                                 std::span<const uint32_t> ranks) {
    std::vector<size_t> out;
    const auto append = [&](size_t begin, size_t end) {
      for (size_t b = begin / block_queries; b * block_queries < end; ++b) out.push_back(b);
    };
    if (!bounded || !bounded->promising(documents + docs.rows())) {
      append(0, count);
      return out;
    }
    for (const size_t group : bounded->add(docs, first, ranks, best))
      append(bounded->group_begin(group), bounded->group_end(group));
    return out;
  }

  void add_slab(MatView<const float> docs, size_t first, std::span<const uint32_t> ranks) {
    constexpr size_t kMultiplied = kStripDocs * kSlabStrips;
    parallel_for(pool, (docs.rows() + kStripDocs - 1) / kStripDocs, 1, [&](size_t strip, size_t) {
      const size_t begin = strip * kStripDocs;
      check_finite(docs.row_range(begin, std::min(kStripDocs, docs.rows() - begin)), first + begin,
                   "document");
    });
    const std::vector<size_t> which = unfinished(docs, first, ranks);
    for (size_t begin = 0; begin < docs.rows() && !which.empty(); begin += kMultiplied) {
      check_interrupted();
      const size_t rows = std::min(kMultiplied, docs.rows() - begin);
      multiply(docs.row_range(begin, rows), first + begin,
               ranks.empty() ? ranks : ranks.subspan(begin, rows), which, documents + begin);
    }
    documents += docs.rows();
  }

  std::vector<Hit> result(size_t query) const {
    const std::vector<uint64_t> keys = best.sorted(query);
    std::vector<Hit> out(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto rank = static_cast<uint32_t>(keys[i]);
      out[i] = {score_of(keys[i]), has_ranks ? doc_of_rank[rank] : ~rank};
    }
    return out;
  }

  ThreadPool& pool;
  size_t count, dims, documents = 0;
  BestKeys best;
  kernels::Backend backend = kernels::Backend::simd_f32;
  size_t block_queries = kBlockQueries;
  std::vector<kernels::PackedLinear> blocks;
  std::optional<BoundedSearch> bounded;
  bool has_ranks = false;
  std::vector<uint32_t> doc_of_rank;
  std::vector<kernels::Operand> strips = std::vector<kernels::Operand>(kSlabStrips);
  std::vector<AlignedArray<float>> products, turned;  // per thread
  std::vector<AlignedArray<uint64_t>> spares;         // per thread
};

FlatSearch::FlatSearch(MatView<const float> queries, size_t k, ThreadPool& pool) {
  check_sizes(queries.rows(), queries.cols(), k);
  state_ = std::make_unique<State>(queries, k, pool);
  for (size_t thread = 0; thread < pool.size(); ++thread) {
    state_->products.emplace_back(kStripDocs * kBlockQueries);
    state_->turned.emplace_back(kStripDocs * kBlockQueries);
    state_->spares.emplace_back(state_->best.scratch_keys());
  }
}
FlatSearch::~FlatSearch() = default;
FlatSearch::FlatSearch(FlatSearch&&) noexcept = default;
FlatSearch& FlatSearch::operator=(FlatSearch&&) noexcept = default;

size_t FlatSearch::queries() const { return state_->count; }
size_t FlatSearch::documents() const { return state_->documents; }

void FlatSearch::add(MatView<const float> docs, size_t base_id, std::span<const uint32_t> ranks) {
  if (docs.rows() == 0) return;
  State& state = *state_;
  if (docs.cols() != state.dims) {
    throw_error(ErrorKind::usage, "search", "documents of {} dims, queries of {}", docs.cols(),
                state.dims);
  }
  if (docs.rows() >= kNone || base_id >= kNone - docs.rows()) {
    throw_error(ErrorKind::usage, "search", "more than {} documents; search them in parts", kNone);
  }
  state.add_ranks(base_id, docs.rows(), ranks);
  const size_t slab = state.bounded ? state.bounded->slab_docs() : kStripDocs * kSlabStrips;
  for (size_t begin = 0; begin < docs.rows(); begin += slab) {
    const size_t rows = std::min(slab, docs.rows() - begin);
    state.add_slab(docs.row_range(begin, rows), base_id + begin,
                   ranks.empty() ? ranks : ranks.subspan(begin, rows));
  }
}

std::vector<Hit> FlatSearch::result(size_t query) const {
  AKIN_CHECK(query < state_->count);
  return state_->result(query);
}

std::vector<std::vector<Hit>> FlatSearch::results() const {
  std::vector<std::vector<Hit>> out(state_->count);
  parallel_for(state_->pool, out.size(), 64,
               [&](size_t query, size_t) { out[query] = state_->result(query); });
  return out;
}

}  // namespace akin::index
