// See scan.h. Threads take chunks of rows; within a chunk a block of rows stays in cache while all
// queries of a group pass over it. Each thread keeps its own best of each query; which thread saw a
// row does not matter, for keys of score and row are all different and are sorted in the end.
#include "index/scan.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>

#include "base/progress.h"
#include "index/flat_select.h"
#include "kernels/quantize.h"

namespace akin::index {
namespace {

constexpr size_t kChunkBytes = 1 << 20;   // of rows, handed to a thread at once
constexpr size_t kBlockBytes = 24 << 10;  // of rows that many queries pass over
constexpr size_t kMostBlockRows = 512;
constexpr size_t kGroupQueries = 64;  // of many, at once
constexpr size_t kLeastSpare = 64;
constexpr size_t kRescoreRows = 256;  // handed to a thread at once
constexpr size_t kThin =
    4;  // a block with fewer than one allowed row in this many is read by number

// The best k of what is pushed.
class BestKeys {
 public:
  explicit BestKeys(size_t k) : k_(k), capacity_(k + std::max(k, kLeastSpare)) {
    keys_.reset(capacity_);
  }
  float threshold() const { return threshold_; }
  void push(float score, uint32_t row, AlignedArray<uint64_t>& scratch) {
    keys_[size_] = make_key(score, ~row);
    if (++size_ < capacity_) return;
    scratch.ensure(capacity_ + kSelectPadding);
    threshold_ = score_of(move_largest_to_front(keys_.data(), size_, k_, scratch.data()));
    size_ = k_;
  }
  std::span<const uint64_t> keys() const { return {keys_.data(), size_}; }

 private:
  size_t k_, capacity_, size_ = 0;
  float threshold_ = -std::numeric_limits<float>::infinity();
  AlignedArray<uint64_t> keys_;
};

std::vector<RowHit> sorted_hits(std::vector<uint64_t>& keys, size_t k) {
  const size_t n = std::min(k, keys.size());
  const auto middle = keys.begin() + static_cast<ptrdiff_t>(n);
  std::nth_element(keys.begin(), middle == keys.end() ? keys.begin() : middle, keys.end(),
                   std::greater<>());
  std::sort(keys.begin(), middle, std::greater<>());
  std::vector<RowHit> out(n);
  for (size_t i = 0; i < n; ++i) out[i] = {score_of(keys[i]), ~static_cast<uint32_t>(keys[i])};
  return out;
}

bool is_allowed(RowMask allowed, size_t row) {
  return row / 64 < allowed.size() && (allowed[row / 64] >> (row % 64) & 1) != 0;
}

// The allowed rows of [begin, end).
void list_allowed(RowMask allowed, size_t begin, size_t end, std::vector<uint32_t>& out) {
  out.clear();
  for (size_t word = begin / 64; word < std::min(allowed.size(), (end + 63) / 64); ++word) {
    for (uint64_t bits = allowed[word]; bits != 0; bits &= bits - 1) {
      const size_t row = word * 64 + static_cast<size_t>(std::countr_zero(bits));
      if (row >= begin && row < end) out.push_back(static_cast<uint32_t>(row));
    }
  }
}

// What one thread needs to search some queries.
struct Worker {
  Worker(size_t queries, size_t k, size_t block_rows) : scores(queries, block_rows) {
    for (size_t q = 0; q < queries; ++q) best.emplace_back(k);
  }
  std::vector<BestKeys> best;
  Mat<float> scores;
  std::vector<uint32_t> ids;
  AlignedArray<uint64_t> scratch;
};

struct Scan {
  const CodeRows& code;
  const CodeQueries& queries;
  RowMask allowed;
  size_t first = 0, count = 0;  // queries of the group

  // masked: scores are of all rows from `begin` on, some of which are not allowed.
  void keep(Worker& worker, size_t n, size_t begin, const uint32_t* ids, bool masked) const {
    uint32_t columns[kMostBlockRows + kSelectPadding];
    float kept[kMostBlockRows + kSelectPadding];
    for (size_t q = 0; q < count; ++q) {
      BestKeys& best = worker.best[q];
      const size_t found =
          select_at_least(worker.scores.row(q), best.threshold(), n, columns, kept);
      for (size_t i = 0; i < found; ++i) {
        const size_t row = ids == nullptr ? begin + columns[i] : ids[columns[i]];
        if (masked && !is_allowed(allowed, row)) continue;
        best.push(kept[i], static_cast<uint32_t>(row), worker.scratch);
      }
    }
  }

  void block(Worker& worker, size_t begin, size_t end) const {
    const size_t n = end - begin;
    kernels::ScanRows rows{code.data + begin * code.stride, code.stride, n, nullptr};
    bool masked = !allowed.empty();
    if (masked) {
      list_allowed(allowed, begin, end, worker.ids);
      if (worker.ids.empty()) return;
      masked = worker.ids.size() < n;
      if (worker.ids.size() * kThin < n) {
        rows = {code.data, code.stride, worker.ids.size(), worker.ids.data()};
        masked = false;
      }
    }
    queries.score(code, rows, first, worker.scores.view().row_range(0, count));
    keep(worker, rows.count, begin, rows.ids, masked);
  }
};

void search_group(Scan& scan, size_t k, ThreadPool& pool, std::vector<std::vector<RowHit>>& out) {
  const CodeRows& code = scan.code;
  const size_t chunk_rows = std::max<size_t>(64, kChunkBytes / code.stride);
  const size_t chunks = (code.rows + chunk_rows - 1) / chunk_rows;
  const size_t most = scan.count == 1 ? kMostBlockRows : kBlockBytes / code.stride;
  const size_t block_rows = std::clamp<size_t>(most / 8 * 8, 16, kMostBlockRows);
  std::vector<std::unique_ptr<Worker>> workers(pool.size());
  const auto work = [&](size_t chunk, size_t thread) {
    check_interrupted();
    std::unique_ptr<Worker>& worker = workers[thread];
    if (!worker) worker = std::make_unique<Worker>(scan.count, std::min(k, code.rows), block_rows);
    const size_t end = std::min(code.rows, (chunk + 1) * chunk_rows);
    for (size_t begin = chunk * chunk_rows; begin < end; begin += block_rows)
      scan.block(*worker, begin, std::min(end, begin + block_rows));
  };
  if (chunks == 1) {
    work(0, 0);
  } else {
    parallel_for(pool, chunks, 1, work);
  }
  std::vector<uint64_t> keys;
  for (size_t q = 0; q < scan.count; ++q) {
    keys.clear();
    for (const auto& worker : workers) {
      if (!worker) continue;
      const std::span<const uint64_t> part = worker->best[q].keys();
      keys.insert(keys.end(), part.begin(), part.end());
    }
    out[scan.first + q] = sorted_hits(keys, k);
  }
}

}  // namespace

CodeQueries::CodeQueries(MatView<const float> queries, const CodeSpec& spec, bool unit)
    : spec_(spec), count_(queries.rows()) {
  const size_t dims = spec.dims;
  const bool halves = spec.code == Code::f16;
  const size_t padded = halves ? row_bytes(Code::f16, dims) / 2 : dims;
  floats_ = Mat<float>(count_, padded);
  for (size_t q = 0; q < count_; ++q) {
    double squares = 0;
    for (size_t d = 0; d < dims; ++d) squares += double{queries(q, d)} * queries(q, d);
    const float factor = unit && squares > 0 ? static_cast<float>(1 / std::sqrt(squares)) : 1.0F;
    for (size_t d = 0; d < dims; ++d) floats_(q, d) = factor * queries(q, d);
  }
  if (spec.code == Code::int8) {
    integers_ = Mat<int8_t>(count_, dims);
    scales_.resize(count_);
    for (size_t q = 0; q < count_; ++q)
      scales_[q] = kernels::quantize_row(floats_.row(q), dims, integers_.row(q));
  } else if (spec.code == Code::binary) {
    words_ = Mat<uint64_t>(count_, row_bytes(Code::binary, dims) / sizeof(uint64_t));
    encode_rows(
        floats_.view(), Code::binary,
        {reinterpret_cast<uint8_t*>(words_.data()), count_ * row_bytes(Code::binary, dims)});
  }
}

void CodeQueries::score(const CodeRows& code, const kernels::ScanRows& rows, size_t first,
                        MatView<float> out) const {
  const size_t n = out.rows();
  switch (spec_.code) {
    case Code::f32:
      kernels::scan_f32(floats_.view().row_range(first, n), rows, out);
      break;
    case Code::f16:
      kernels::scan_f16(floats_.view().row_range(first, n), rows, out);
      break;
    case Code::int8:
      kernels::scan_int8(integers_.view().row_range(first, n), scales_.data() + first, rows, out);
      break;
    case Code::binary:
      kernels::scan_binary(words_.view().row_range(first, n), spec_.dims, rows, out);
      break;
  }
  if (!code.stretch) return;
  thread_local std::vector<float> squares;
  squares.resize(rows.count);
  if (spec_.code == Code::f32) {
    kernels::scan_squares_f32(spec_.dims, rows, squares.data());
  } else {
    kernels::scan_squares_f16(spec_.dims, rows, squares.data());
  }
  for (size_t q = 0; q < n; ++q) {
    for (size_t i = 0; i < rows.count; ++i)
      out(q, i) = squares[i] > 0 ? out(q, i) / std::sqrt(squares[i]) : 0.0F;
  }
}

std::vector<std::vector<RowHit>> scan_rows(const CodeRows& code, const CodeQueries& queries,
                                           size_t k, RowMask allowed, ThreadPool& pool) {
  std::vector<std::vector<RowHit>> out(queries.count());
  if (k == 0 || code.rows == 0) return out;
  for (size_t first = 0; first < out.size(); first += kGroupQueries) {
    Scan scan{code, queries, allowed, first, std::min(kGroupQueries, out.size() - first)};
    search_group(scan, k, pool, out);
  }
  return out;
}

std::vector<RowHit> rescore_rows(const CodeRows& code, const CodeQueries& queries, size_t k,
                                 std::span<const uint32_t> rows, ThreadPool& pool) {
  std::vector<float> scores(rows.size());
  const auto work = [&](size_t part, size_t) {
    check_interrupted();
    const size_t begin = part * kRescoreRows, n = std::min(kRescoreRows, rows.size() - begin);
    queries.score(code, {code.data, code.stride, n, rows.data() + begin}, 0,
                  MatView<float>(scores.data() + begin, 1, n));
  };
  const size_t parts = (rows.size() + kRescoreRows - 1) / kRescoreRows;
  if (parts <= 1) {
    if (parts == 1) work(0, 0);
  } else {
    parallel_for(pool, parts, 1, work);
  }
  std::vector<uint64_t> keys;
  keys.reserve(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    if (scores[i] == scores[i]) keys.push_back(make_key(scores[i], ~rows[i]));
  }
  return sorted_hits(keys, k);
}

}  // namespace akin::index
