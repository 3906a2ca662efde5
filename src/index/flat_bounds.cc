// See flat_bounds.h. A thread takes a group of queries through all strips of a slab: products, and
// for each query a list of the documents that reach its floor, the score that k documents have for
// certain. A full list raises the floor. What is left then gets its scores, a few documents at a
// time, so that their rows stay in the cache while all queries of the group pass.
#include "index/flat_bounds.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "base/progress.h"
#include "kernels/cpu.h"
#include "kernels/gathered.h"
#include "kernels/linear.h"

namespace akin::index {
namespace {

using kernels::Rounding;

constexpr size_t kStripDocs = 128;
constexpr size_t kGroupQueries = 256;
constexpr size_t kLeastQueries = 64, kLeastDims = 32;  // below, preparing documents is the work
constexpr size_t kSlabBytes = size_t{32} << 20;        // of rounded documents
constexpr size_t kCacheBytes = size_t{768} << 10;      // of documents that are scored at once
constexpr size_t kMostScored = kCacheBytes / (kLeastDims * sizeof(float));
constexpr size_t kLine = kAlignment / sizeof(float);
constexpr size_t kListBytes = size_t{16} << 20;  // of a group's lists

// Scores of documents from anywhere cost so many times what the product of all with all costs each.
constexpr size_t kDearer = 6;
// Rounded products cost an eighth of f32 ones on tiles, half of them on vectors: so many documents
// for each of the best k must stand against what is spent on lists (measured, k = 100 to 1,000).
size_t least_share() { return kernels::active_isa() >= kernels::Isa::amx ? kDearer : 64; }

void raise_to(Rounding& most, const Rounding& other) {
  most.norm = std::max(most.norm, other.norm);
  most.lost = std::max(most.lost, other.lost);
}

// Asks for rows from memory.
void fetch(MatView<const float> docs, size_t begin, size_t count) {
  for (size_t r = begin; r < std::min(docs.rows(), begin + count); ++r) {
    for (size_t d = 0; d < docs.cols(); d += kLine) __builtin_prefetch(docs.row(r) + d, 0, 2);
  }
}

}  // namespace

struct BoundedSearch::Scratch {
  struct List {
    size_t size = 0;
    float floor = 0, bound = 0;  // bound: of the error of every product with this query
  };

  Scratch(size_t queries, size_t room_for_docs, const BestKeys& best)
      : room(room_for_docs),
        products(queries * kStripDocs),
        lists(queries),
        columns(queries * room),
        values(queries * room),
        keys(room + best.k() + kSelectPadding),
        spare(std::max(keys.size(), best.scratch_keys())),
        scores(kMostScored) {}

  // Documents of the list that can still be among the best k, by a floor as high as it gets.
  void raise(size_t i, size_t query, const BestKeys& best) {
    List& list = lists[i];
    size_t n = 0;
    for (const uint64_t key : best.keys(query)) keys[n++] = key;
    const float* v = values.data() + i * room;
    for (size_t j = 0; j < list.size; ++j) keys[n++] = make_key(v[j] - list.bound, 0);
    if (n < best.k()) return;
    const uint64_t least = move_largest_to_front(keys.data(), n, best.k(), spare.data());
    list.floor = std::max(list.floor, score_of(least));
    list.size = keep_at_least(list.floor - list.bound, list.size, columns.data() + i * room,
                              values.data() + i * room);
  }

  size_t room;  // in each list
  kernels::LeftOperand left;
  AlignedArray<float> products;    // [queries, kStripDocs]
  std::vector<List> lists;         // by query
  AlignedArray<uint32_t> columns;  // [queries, room], rising
  AlignedArray<float> values;      // [queries, room]
  AlignedArray<uint64_t> keys, spare;
  AlignedArray<float> scores;
};

bool BoundedSearch::available(size_t queries, size_t dims) {
  return kernels::bf16_products_available() && queries >= kLeastQueries && dims >= kLeastDims &&
         kernels::choose_backend(Precision::f32) == kernels::Backend::simd_f32;
}

BoundedSearch::BoundedSearch(MatView<const float> queries, size_t k, ThreadPool& pool)
    : pool_(pool), queries_(queries.rows(), queries.cols()), roundings_(queries.rows()), k_(k) {
  for (size_t q = 0; q < queries.rows(); ++q) {
    std::copy_n(queries.row(q), queries.cols(), queries_.row(q));
    roundings_[q] = kernels::rounding_of(queries.row(q), queries.cols());
    usable_ = usable_ && roundings_[q].usable;
  }
  slab_docs_ = std::max<size_t>(16, kSlabBytes / (2 * queries.cols()) / kStripDocs) * kStripDocs;
  room_ = std::min(slab_docs_, std::max<size_t>(4096, 4 * k)) + kStripDocs + kSelectPadding;
  group_queries_ = kGroupQueries;
  const auto too_large = [&] {
    return queries.rows() / group_queries_ < 4 * pool.size() ||
           group_queries_ * room_ * (sizeof(float) + sizeof(uint32_t)) > kListBytes;
  };
  while (group_queries_ > kernels::kRowBlock && too_large()) group_queries_ /= 2;
  scratch_.resize(pool.size());
}

BoundedSearch::~BoundedSearch() = default;

size_t BoundedSearch::group_end(size_t group) const {
  return std::min(queries_.rows(), group_begin(group + 1));
}

bool BoundedSearch::promising(size_t documents) const {
  return usable_ && documents / least_share() >= k_ && left_alone_ * 2 <= slabs_;
}

bool BoundedSearch::prepare(Slab& slab) {
  const size_t n = (slab.docs.rows() + kStripDocs - 1) / kStripDocs, dims = slab.docs.cols();
  if (strips_.size() < n) strips_.resize(n);
  std::atomic<bool> usable{true};
  parallel_for(pool_, n, 4, [&](size_t s, size_t) {
    const size_t begin = s * kStripDocs, rows = std::min(kStripDocs, slab.docs.rows() - begin);
    Strip& strip = strips_[s];
    strip.most = {};
    const float* from[kStripDocs];
    for (size_t r = 0; r < rows; ++r) {
      from[r] = slab.docs.row(begin + r);
      const Rounding rounding = kernels::rounding_of(from[r], dims);
      if (!rounding.usable) usable.store(false, std::memory_order_relaxed);
      raise_to(strip.most, rounding);
    }
    strip.right.reserve(kernels::ProductNumbers::bf16, dims, rows);
    strip.right.pack_transposed({from, rows}, 0, strip.right.panels());
  });
  slab.most = {};
  for (size_t s = 0; s < n; ++s) raise_to(slab.most, strips_[s].most);
  return usable.load();
}

// Fills the lists of queries [begin, end). False when too much is left.
bool BoundedSearch::rule_out(const Slab& slab, size_t begin, size_t end, BestKeys& best,
                             Scratch& work) const {
  const size_t rows = end - begin, dims = queries_.cols(), docs = slab.docs.rows();
  work.left.set(kernels::ProductNumbers::bf16, queries_.view().row_range(begin, rows));
  for (size_t i = 0; i < rows; ++i) {
    best.settle(begin + i, work.spare.data());
    work.lists[i] = {.size = 0,
                     .floor = best.threshold(begin + i),
                     .bound = rounding_bound(roundings_[begin + i], slab.most, dims)};
  }
  for (size_t at = 0; at < docs; at += kStripDocs) {
    const Strip& strip = strips_[at / kStripDocs];
    const MatView<float> products(work.products.data(), rows, strip.right.cols());
    strip.right.multiply(work.left, {}, products);
    for (size_t i = 0; i < rows; ++i) {
      auto& list = work.lists[i];
      const float bound = rounding_bound(roundings_[begin + i], strip.most, dims);
      const size_t to = i * work.room + list.size;
      list.size += append_at_least(products.row(i), list.floor - bound, products.cols(),
                                   static_cast<uint32_t>(at), work.columns.data() + to,
                                   work.values.data() + to);
      if (list.size + kStripDocs + kSelectPadding <= work.room) continue;
      work.raise(i, begin + i, best);
      if (list.size * 4 > work.room * 3) return false;
    }
  }
  size_t left = 0;
  for (size_t i = 0; i < rows; ++i) {
    work.raise(i, begin + i, best);
    left += work.lists[i].size;
  }
  return left * kDearer <= rows * docs;
}

void BoundedSearch::score(const Slab& slab, size_t begin, size_t end, BestKeys& best,
                          Scratch& work) const {
  const size_t rows = end - begin, dims = queries_.cols(), docs = slab.docs.rows();
  const size_t step = std::max(kStripDocs, kCacheBytes / (dims * sizeof(float)));
  std::vector<size_t> done(rows, 0);
  for (size_t at = 0; at < docs; at += step) {
    const size_t stop = std::min(docs, at + step);
    const size_t share = (std::min(docs, stop + step) - stop + rows - 1) / rows;
    for (size_t i = 0; i < rows; ++i) {
      fetch(slab.docs, stop + i * share, share);  // a part of what comes next
      const auto& list = work.lists[i];
      const uint32_t* columns = work.columns.data() + i * work.room;
      size_t last = done[i];
      while (last < list.size && columns[last] < stop) ++last;
      const std::span<const uint32_t> ids(columns + done[i], last - done[i]);
      done[i] = last;
      const size_t query = begin + i;
      kernels::gathered_products(queries_.row(query), slab.docs, ids, kernels::kLinearPiece,
                                 work.scores.data());
      for (size_t j = 0; j < ids.size(); ++j) {
        if (!(work.scores[j] >= best.threshold(query))) continue;
        best.add(query, work.scores[j], slab.rank(ids[j]), work.spare.data());
      }
    }
  }
}

std::vector<size_t> BoundedSearch::add(MatView<const float> docs, size_t first,
                                       std::span<const uint32_t> ranks, BestKeys& best) {
  AKIN_CHECK(docs.rows() <= slab_docs_ && docs.cols() == queries_.cols());
  const size_t groups = (queries_.rows() + group_queries_ - 1) / group_queries_;
  Slab slab{docs, first, ranks, {}};
  const bool proven = prepare(slab);
  std::vector<size_t> left_alone;
  std::mutex mutex;
  std::atomic<size_t> good{0}, bad{0};
  parallel_for(pool_, groups, 1, [&](size_t group, size_t thread) {
    check_interrupted();
    auto& work = scratch_[thread];
    if (!work) work = std::make_unique<Scratch>(group_queries_, room_, best);
    const bool hopeless = !proven || bad > good + 1;
    if (!hopeless && rule_out(slab, group_begin(group), group_end(group), best, *work)) {
      score(slab, group_begin(group), group_end(group), best, *work);
      ++good;
      return;
    }
    ++bad;
    const std::lock_guard lock(mutex);
    left_alone.push_back(group);
  });
  slabs_ += groups;
  left_alone_ += left_alone.size();
  std::sort(left_alone.begin(), left_alone.end());
  return left_alone;
}

}  // namespace akin::index
