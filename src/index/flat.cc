// See flat.h. Queries are the packed side of the product, in blocks; documents pass by in strips.
// While a strip's scores are in cache, those that reach the query's threshold go to its buffer; a
// full buffer is cut to its best k, and the worst of these is the new threshold.
#include "index/flat.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>

#include "base/progress.h"
#include "index/flat_select.h"
#include "kernels/linear.h"

namespace akin::index {
namespace {

constexpr size_t kBlockQueries = 128;  // their packed form and scores stay in a core's cache
constexpr size_t kStripDocs = 256;     // a multiple of kernels::kRowBlock
constexpr size_t kSlabStrips = 16;
constexpr size_t kLeastSpare = 16;
constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
static_assert(kStripDocs % kernels::kRowBlock == 0);

void check_finite(MatView<const float> rows, size_t begin, size_t first_number,
                  std::string_view what) {
  for (size_t r = 0; r < rows.rows(); ++r) {
    if (all_finite(rows.row(r), rows.cols())) continue;
    throw_error(ErrorKind::usage, "search",
                "the vector of {} {} holds a value that is not a finite number; check the model "
                "and the text",
                what, first_number + begin + r);
  }
}

}  // namespace

struct FlatSearch::State {
  State(MatView<const float> queries, size_t k_best, ThreadPool& threads)
      : pool(threads), count(queries.rows()), dims(queries.cols()), k(k_best) {
    if (k == 0 || count == 0 || dims == 0) {
      throw_error(ErrorKind::usage, "search", "{} queries of {} dims, best {}: expected at least 1",
                  count, dims, k);
    }
    capacity = k + std::max(k, kLeastSpare);
    if (k > kNone || capacity > (uint64_t{1} << 40) / count) {
      throw_error(ErrorKind::usage, "search",
                  "the best {} of {} queries do not fit into memory; ask for fewer", k, count);
    }
    check_finite(queries, 0, 0, "query");
    keys.reset(count * capacity);
    thresholds.assign(count, -std::numeric_limits<float>::infinity());
    sizes.assign(count, 0);
    pack(queries);
  }

  void pack(MatView<const float> queries) {
    backend = kernels::choose_backend(Precision::f32);
    // Smaller blocks where there are few queries, so that every thread has some.
    block_queries = kBlockQueries;
    while (block_queries > kernels::kRowBlock && count / block_queries < 4 * pool.size()) {
      block_queries /= 2;
    }
    blocks.resize((count + block_queries - 1) / block_queries);
    parallel_for(pool, blocks.size(), 1, [&](size_t block, size_t) {
      const size_t begin = block * block_queries, n = std::min(block_queries, count - begin);
      const auto read = [&](size_t row, std::span<float> out) {
        std::copy_n(queries.row(begin + row), dims, out.begin());
      };
      blocks[block] = kernels::PackedLinear(backend, n, dims, read, {});
    });
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

  // Keeps the best k of a query's buffer.
  void cut(size_t query, uint64_t* scratch) {
    uint64_t* const begin = keys.data() + query * capacity;
    thresholds[query] = score_of(move_largest_to_front(begin, sizes[query], k, scratch));
    sizes[query] = static_cast<uint32_t>(k);
  }

  // scores: [rows, n] of the documents from `first` on, for the queries of one block.
  void select(MatView<const float> scores, size_t block, size_t first,
              std::span<const uint32_t> ranks, uint64_t* scratch) {
    uint32_t columns[kBlockQueries + kSelectPadding];
    float kept[kBlockQueries + kSelectPadding];
    const size_t query = block * block_queries;
    for (size_t r = 0; r < scores.rows(); ++r) {
      const size_t n =
          select_at_least(scores.row(r), thresholds.data() + query, scores.cols(), columns, kept);
      if (n == 0) continue;
      const uint32_t rank = ranks.empty() ? ~static_cast<uint32_t>(first + r) : ranks[r];
      for (size_t i = 0; i < n; ++i) {
        const size_t q = query + columns[i];
        keys[q * capacity + sizes[q]] = make_key(kept[i], rank);
        if (++sizes[q] == capacity) cut(q, scratch);
      }
    }
  }

  void add_slab(MatView<const float> docs, size_t first, std::span<const uint32_t> ranks) {
    const size_t n = (docs.rows() + kStripDocs - 1) / kStripDocs;
    const auto rows = [&](size_t strip) {
      return std::min(kStripDocs, docs.rows() - strip * kStripDocs);
    };
    parallel_for(pool, n, 1, [&](size_t strip, size_t) {
      const MatView<const float> part = docs.row_range(strip * kStripDocs, rows(strip));
      check_finite(part, strip * kStripDocs, first, "document");
      strips[strip].reserve(backend, part.rows(), dims);
      strips[strip].set_rows(0, part);
    });
    parallel_for(pool, blocks.size(), 1, [&](size_t block, size_t thread) {
      const kernels::PackedLinear& packed = blocks[block];
      for (size_t strip = 0; strip < n; ++strip) {
        const MatView<float> y(products[thread].data(), rows(strip), packed.n());
        packed.run(strips[strip], rows(strip), {}, y);
        const size_t begin = strip * kStripDocs;
        select(y, block, first + begin, ranks.empty() ? ranks : ranks.subspan(begin, rows(strip)),
               spares[thread].data());
      }
    });
  }

  std::vector<Hit> result(size_t query) const {
    const uint64_t* const begin = keys.data() + query * capacity;
    std::vector<uint64_t> best(begin, begin + sizes[query]);
    const size_t n = std::min<size_t>(best.size(), k);
    if (n < best.size()) {
      std::vector<uint64_t> rest(best.size() + kSelectPadding);
      move_largest_to_front(best.data(), best.size(), n, rest.data());
    }
    std::sort(best.begin(), best.begin() + static_cast<ptrdiff_t>(n), std::greater<>());
    std::vector<Hit> out(n);
    for (size_t i = 0; i < n; ++i) {
      const auto rank = static_cast<uint32_t>(best[i]);
      out[i] = {score_of(best[i]), has_ranks ? doc_of_rank[rank] : ~rank};
    }
    return out;
  }

  ThreadPool& pool;
  size_t count, dims, k, capacity = 0, documents = 0;
  kernels::Backend backend = kernels::Backend::simd_f32;
  size_t block_queries = kBlockQueries;
  std::vector<kernels::PackedLinear> blocks;
  AlignedArray<uint64_t> keys;  // [count, capacity]; memory is taken as it fills
  std::vector<float> thresholds;
  std::vector<uint32_t> sizes;
  bool has_ranks = false;
  std::vector<uint32_t> doc_of_rank;
  std::vector<kernels::Operand> strips = std::vector<kernels::Operand>(kSlabStrips);
  std::vector<AlignedArray<float>> products;   // per thread
  std::vector<AlignedArray<uint64_t>> spares;  // per thread
};

FlatSearch::FlatSearch(MatView<const float> queries, size_t k, ThreadPool& pool)
    : state_(std::make_unique<State>(queries, k, pool)) {
  for (size_t thread = 0; thread < pool.size(); ++thread) {
    state_->products.emplace_back(kStripDocs * kBlockQueries);
    state_->spares.emplace_back(state_->capacity + kSelectPadding);
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
  constexpr size_t kSlabDocs = kStripDocs * kSlabStrips;
  for (size_t begin = 0; begin < docs.rows(); begin += kSlabDocs) {
    check_interrupted();
    const size_t rows = std::min(kSlabDocs, docs.rows() - begin);
    state.add_slab(docs.row_range(begin, rows), base_id + begin,
                   ranks.empty() ? ranks : ranks.subspan(begin, rows));
  }
  state.documents += docs.rows();
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
