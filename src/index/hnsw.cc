// See hnsw.h. hnswlib holds the graph and chooses links (its searchBaseLayer and
// mutuallyConnectNewElement); levels, the order of locks in an insertion, growth, files and search
// are here: levels must not depend on timing, rows lie on cache lines, and hnswlib 0.6 can neither
// filter nor check a file. Its headers define functions: included in this file only.
#include "index/hnsw.h"

#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <queue>
#include <utility>

#include "index/flat_select.h"
#include "index/hnsw_file.h"
#include "kernels/elementwise.h"
#include "kernels/scan.h"

namespace akin::index {
namespace {

constexpr size_t kMostRows = size_t{1} << 31;  // hnswlib counts in int here and there

float distance(const void* a, const void* b, const void* dims) {
  return -kernels::dot(static_cast<const float*>(a), static_cast<const float*>(b),
                       *static_cast<const size_t*>(dims));
}

class Space final : public hnswlib::SpaceInterface<float> {
 public:
  explicit Space(size_t dims) : dims_(dims) {}
  size_t get_data_size() override { return dims_ * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return distance; }
  void* get_dist_func_param() override { return &dims_; }

 private:
  size_t dims_;
};

size_t round_up(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// splitmix64, for a level that depends on seed and row alone.
size_t level_of(uint64_t seed, size_t row, double factor) {
  uint64_t z = (seed + 1) * 0x9E3779B97F4A7C15ULL + row * 0xD1B54A32D192ED03ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  z ^= z >> 31;
  const double uniform = static_cast<double>((z >> 11) + 1) * 0x1p-53;  // (0, 1]
  return std::min(kMostHnswLevel, static_cast<size_t>(-std::log(uniform) * factor));
}

// hnswlib's index with rows on cache lines, without labels.
class Links : public hnswlib::HierarchicalNSW<float> {
 public:
  Links(Space* space, const HnswSpec& spec)
      : HierarchicalNSW(space, 1, spec.links, spec.build_breadth, spec.seed), seed_(spec.seed) {
    offsetData_ = round_up(size_links_level0_, kAlignment);
    size_data_per_element_ = offsetData_ + round_up(data_size_, kAlignment);
    label_offset_ = offsetData_;  // there are none
    cur_element_count = 0;
    reserve(1);
  }

  // Room for rows [0, rows), all of them without links and of their levels.
  void grow(size_t rows) {
    if (rows > max_elements_) reserve(std::max(rows, std::min(kMostRows, max_elements_ * 2)));
    for (size_t row = cur_element_count; row < rows; ++row) {
      set_level(row, level_of(seed_, row, mult_));
      cur_element_count = row + 1;
    }
  }
  void set_level(size_t row, size_t level) {
    linkLists_[row] = nullptr;
    if (level > 0) {
      // hnswlib reads, and does not use, the one number behind the last list.
      linkLists_[row] =
          static_cast<char*>(std::calloc(1, level * size_links_per_element_ + sizeof(uint32_t)));
      if (linkLists_[row] == nullptr) throw std::bad_alloc();
    }
    element_levels_[row] = static_cast<int>(level);
  }
  // A plain pointer that owns in hnswlib 0.6, a unique_ptr in 0.8.
  template <typename Pool>
  static void replace(Pool& pool, int rows) {
    using hnswlib::VisitedListPool;
    auto fresh = std::make_unique<VisitedListPool>(1, rows);
    if constexpr (std::is_pointer_v<Pool>) {
      delete std::exchange(pool, fresh.release());
    } else {
      pool = std::move(fresh);
    }
  }
  void reserve(size_t rows) {
    replace(visited_list_pool_, static_cast<int>(rows));
    element_levels_.resize(rows);
    std::vector<std::mutex>(rows).swap(link_list_locks_);
    auto* ground =
        static_cast<char*>(std::aligned_alloc(kAlignment, rows * size_data_per_element_));
    if (ground == nullptr) throw std::bad_alloc();
    const size_t used = cur_element_count * size_data_per_element_;
    std::memcpy(ground, data_level0_memory_, used);
    std::memset(ground + used, 0, rows * size_data_per_element_ - used);
    std::free(std::exchange(data_level0_memory_, ground));
    void* lists = std::realloc(linkLists_, rows * sizeof(void*));
    if (lists == nullptr) throw std::bad_alloc();
    linkLists_ = static_cast<char**>(lists);
    max_elements_ = rows;
  }

  uint32_t* list(size_t row, size_t level) const {
    return get_linklist_at_level(static_cast<uint32_t>(row), static_cast<int>(level));
  }
  float* vector(size_t row) const {
    return reinterpret_cast<float*>(getDataByInternalId(static_cast<uint32_t>(row)));
  }
  size_t level(size_t row) const { return static_cast<size_t>(element_levels_[row]); }
  kernels::ScanRows rows(const uint32_t* ids, size_t count) const {
    return {reinterpret_cast<const uint8_t*>(data_level0_memory_) + offsetData_,
            size_data_per_element_, count, ids};
  }
  // Row `row` of grow() gets its vector and its links. By several threads at once.
  void insert(size_t row, const float* values);

 private:
  uint64_t seed_;
};

// From `nearest` downhill on one level above the ground.
uint32_t walk_down(Links& graph, const float* query, uint32_t nearest, size_t level, bool locked) {
  float best = -graph.fstdistfunc_(query, graph.vector(nearest), graph.dist_func_param_);
  for (bool moved = true; moved;) {
    moved = false;
    std::unique_lock<std::mutex> lock;
    if (locked) lock = std::unique_lock(graph.link_list_locks_[nearest]);
    const uint32_t* list = graph.list(nearest, level);
    for (size_t i = 1; i <= list[0]; ++i) {
      const float score = -graph.fstdistfunc_(query, graph.vector(list[i]), graph.dist_func_param_);
      if (!(score > best)) continue;
      best = score;
      nearest = list[i];
      moved = true;
    }
  }
  return nearest;
}

void Links::insert(size_t row, const float* values) {
  const auto id = static_cast<uint32_t>(row);
  const std::lock_guard own(link_list_locks_[row]);
  // Whoever founds a new top level lets nobody else begin until it is done.
  std::unique_lock top(global);
  const int top_level = maxlevel_, own_level = element_levels_[row];
  uint32_t nearest = enterpoint_node_;
  if (own_level <= top_level) top.unlock();
  std::memcpy(vector(row), values, data_size_);
  if (top_level < 0) {
    enterpoint_node_ = id;
    maxlevel_ = own_level;
    return;
  }
  for (int at = top_level; at > own_level; --at)
    nearest = walk_down(*this, values, nearest, static_cast<size_t>(at), true);
  for (int at = std::min(own_level, top_level); at >= 0; --at) {
    auto found = searchBaseLayer(nearest, values, at);
    nearest = mutuallyConnectNewElement(values, id, found, at, false);
  }
  if (own_level > top_level) {
    enterpoint_node_ = id;
    maxlevel_ = own_level;
  }
}

// The rows found best so far, worst on top; and those to look at, best on top. Equal scores: the
// lower row is the better one.
struct Better {
  bool operator()(const RowHit& a, const RowHit& b) const {
    return a.score != b.score ? a.score > b.score : a.row < b.row;
  }
};
struct Worse {
  bool operator()(const RowHit& a, const RowHit& b) const { return Better()(b, a); }
};
using Found = std::priority_queue<RowHit, std::vector<RowHit>, Better>;
using ToVisit = std::priority_queue<RowHit, std::vector<RowHit>, Worse>;

std::vector<RowHit> best_first(Found& found, size_t k) {
  while (found.size() > k) found.pop();
  std::vector<RowHit> out(found.size());
  for (size_t i = out.size(); i > 0; found.pop()) out[--i] = found.top();
  return out;
}

class Graph final : public Hnsw {
 public:
  Graph(size_t dims, const HnswSpec& spec)
      : dims_(dims), spec_(spec), space_(dims), links_(&space_, spec) {}

  explicit Graph(const GraphFile& file) : Graph(file.shape().dims, file.shape().spec) {
    const GraphShape& shape = file.shape();
    if (shape.rows == 0) return;
    links_.reserve(shape.rows);
    const uint32_t* upper = file.upper();
    for (size_t row = 0; row < shape.rows; ++row) {
      links_.set_level(row, file.level(row));
      links_.cur_element_count = row + 1;
      std::copy_n(file.ground(row), shape.ground_words(), links_.list(row, 0));
      for (size_t at = 1; at <= file.level(row); ++at, upper += shape.upper_words())
        std::copy_n(upper, shape.upper_words(), links_.list(row, at));
      std::copy_n(file.vector(row), dims_, links_.vector(row));
    }
    links_.enterpoint_node_ = shape.entry;
    links_.maxlevel_ = static_cast<int>(file.level(shape.entry));
    rows_ = shape.rows;
  }

  size_t rows() const override { return rows_; }

  void add(MatView<const float> vectors, size_t first, ThreadPool& pool,
           const ProgressSink& progress) override {
    check_input(vectors, first);
    links_.grow(first + vectors.rows());
    std::atomic<size_t> next{0}, done{0};
    std::atomic<bool> stop{false};
    broken_ = true;
    pool.run([&](size_t thread) {
      while (!stop.load(std::memory_order_relaxed)) {
        const size_t i = next.fetch_add(1);
        if (i >= vectors.rows()) break;
        links_.insert(first + i, vectors.row(i));
        const size_t count = done.fetch_add(1) + 1;
        if (thread == 0 && i % 64 == 0) {
          if (progress) progress({"graph", count, vectors.rows(), "vectors"});
          if (interrupt_flag().load()) stop = true;
        }
      }
    });
    // Every row that was begun is done: the rows in are the first ones.
    rows_ = first + done;
    broken_ = false;
    if (stop) check_interrupted();
    if (progress) progress({"graph", vectors.rows(), vectors.rows(), "vectors"});
  }

  void save(const std::filesystem::path& file) const override {
    check_whole();
    const GraphShape shape{dims_, rows_, spec_, rows_ == 0 ? 0 : links_.enterpoint_node_};
    write_graph(file, shape,
                {[&](size_t row) { return links_.level(row); },
                 [&](size_t row, size_t level) { return links_.list(row, level); },
                 [&](size_t row) { return links_.vector(row); }});
  }

  std::vector<RowHit> search(std::span<const float> query, size_t k, size_t breadth,
                             RowMask allowed) const override {
    check_whole();
    if (query.size() != dims_ || !all_finite(query.data(), dims_))
      throw_error(ErrorKind::usage, "search",
                  "a query of {} dims, expected {} finite numbers; check the model", query.size(),
                  dims_);
    const size_t candidates = count_allowed(allowed), wanted = std::min(k, candidates);
    if (wanted == 0) return {};
    breadth = std::max(breadth, k);
    // A walk has to see about rows / candidates rows for each that counts, and their links.
    const double share = static_cast<double>(candidates) / static_cast<double>(rows_);
    const double walk = static_cast<double>(breadth * spec_.links) / share;
    if (static_cast<double>(candidates) > walk) {
      Found found = walk_ground(query.data(), breadth, allowed);
      if (found.size() >= wanted) return best_first(found, k);
    }
    return look_at_all(query.data(), k, allowed);
  }

 private:
  void check_whole() const {
    if (broken_)
      throw_error(ErrorKind::internal, "graph",
                  "adding to it failed half-way; build the graph again");
  }
  void check_input(MatView<const float> vectors, size_t first) const {
    check_whole();
    if (first != rows_ || vectors.rows() > kMostRows - rows_)
      throw_error(ErrorKind::usage, "graph", "{} rows at {}, but it holds {} (at most {})",
                  vectors.rows(), first, rows_, kMostRows);
    if (vectors.rows() > 0 && vectors.cols() != dims_)
      throw_error(ErrorKind::usage, "graph", "vectors of {} dims, expected {}", vectors.cols(),
                  dims_);
    for (size_t r = 0; r < vectors.rows(); ++r) {
      if (!all_finite(vectors.row(r), dims_))
        throw_error(ErrorKind::usage, "graph",
                    "vector {} holds a value that is not a finite number", r);
    }
  }

  static bool is_allowed(RowMask allowed, size_t row) {
    return allowed.empty() ||
           (row / 64 < allowed.size() && (allowed[row / 64] >> (row % 64) & 1) != 0);
  }
  size_t count_allowed(RowMask allowed) const {
    if (allowed.empty()) return rows_;
    size_t count = 0;
    for (size_t w = 0; w < std::min(allowed.size(), (rows_ + 63) / 64); ++w) {
      const uint64_t bits =
          w == rows_ / 64 ? allowed[w] & ((uint64_t{1} << (rows_ % 64)) - 1) : allowed[w];
      count += static_cast<size_t>(std::popcount(bits));
    }
    return count;
  }

  void score(const float* query, std::span<const uint32_t> ids, float* out) const {
    kernels::scan_f32({query, 1, dims_}, links_.rows(ids.data(), ids.size()), {out, 1, ids.size()});
  }

  std::vector<RowHit> look_at_all(const float* query, size_t k, RowMask allowed) const {
    Found found;
    uint32_t ids[256];
    float scores[256];
    for (size_t row = 0; row < rows_;) {
      size_t n = 0;
      for (; n < std::size(ids) && row < rows_; ++row) {
        if (is_allowed(allowed, row)) ids[n++] = static_cast<uint32_t>(row);
      }
      score(query, {ids, n}, scores);
      for (size_t i = 0; i < n; ++i) {
        found.push({scores[i], ids[i]});
        if (found.size() > k) found.pop();
      }
    }
    return best_first(found, k);
  }

  // Malkov and Yashunin, algorithm 2, where rows that are not allowed are visited but not kept.
  Found walk_ground(const float* query, size_t breadth, RowMask allowed) const {
    auto& graph = const_cast<Links&>(links_);  // hnswlib's getters are not all const
    uint32_t nearest = links_.enterpoint_node_;
    for (auto at = static_cast<size_t>(links_.maxlevel_); at > 0; --at)
      nearest = walk_down(graph, query, nearest, at, false);
    struct Visited {
      explicit Visited(hnswlib::VisitedListPool& from)
          : pool(from), list(from.getFreeVisitedList()) {}
      ~Visited() { pool.releaseVisitedList(list); }
      Visited(const Visited&) = delete;
      Visited& operator=(const Visited&) = delete;
      bool first_time(uint32_t row) {
        return std::exchange(list->mass[row], list->curV) != list->curV;
      }
      hnswlib::VisitedListPool& pool;
      hnswlib::VisitedList* list;
    } visited(*links_.visited_list_pool_);
    Found found;
    ToVisit to_visit;
    uint32_t ids[2 * kMostHnswLinks];
    float scores[2 * kMostHnswLinks];
    const auto look_at = [&](size_t n) {
      score(query, {ids, n}, scores);
      for (size_t i = 0; i < n; ++i) {
        const RowHit hit{scores[i], ids[i]};
        if (found.size() >= breadth && !Better()(hit, found.top())) continue;
        to_visit.push(hit);
        if (!is_allowed(allowed, hit.row)) continue;
        found.push(hit);
        if (found.size() > breadth) found.pop();
      }
    };
    visited.first_time(nearest);
    ids[0] = nearest;
    look_at(1);
    while (!to_visit.empty()) {
      const RowHit next = to_visit.top();
      if (found.size() >= breadth && Better()(found.top(), next)) break;
      to_visit.pop();
      const uint32_t* list = links_.list(next.row, 0);
      size_t n = 0;
      for (size_t i = 1; i <= list[0]; ++i) {
        if (!visited.first_time(list[i])) continue;
        __builtin_prefetch(links_.vector(list[i]));
        __builtin_prefetch(links_.vector(list[i]) + 16);
        ids[n++] = list[i];
      }
      look_at(n);
    }
    return found;
  }

  size_t dims_;
  HnswSpec spec_;
  Space space_;
  Links links_;
  size_t rows_ = 0;
  bool broken_ = false;
};

}  // namespace

std::unique_ptr<Hnsw> Hnsw::create(size_t dims, const HnswSpec& spec) {
  if (dims == 0 || spec.links < kLeastHnswLinks || spec.links > kMostHnswLinks ||
      spec.build_breadth == 0 || spec.build_breadth > kMostHnswBreadth)
    throw_error(ErrorKind::usage, "graph",
                "{} dims, {} links, breadth {}: expected at least 1, {} to {}, 1 to {}", dims,
                spec.links, spec.build_breadth, kLeastHnswLinks, kMostHnswLinks, kMostHnswBreadth);
  return std::make_unique<Graph>(dims, spec);
}

std::unique_ptr<Hnsw> Hnsw::load(const std::filesystem::path& file, size_t dims) {
  return std::make_unique<Graph>(GraphFile(file, dims));
}

}  // namespace akin::index
