// Exact search over the rows of one code, and scores of chosen rows: what vector_store.h does once
// it has found the file. Internal to index/.
//
// Shapes: Q queries, N rows, D dims of the code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/mat.h"
#include "base/threads.h"
#include "index/vector_store.h"
#include "kernels/scan.h"

namespace akin::index {

// Where rows of a code lie; the 64 bytes before data may be read.
struct CodeRows {
  CodeSpec spec;  // dims may be fewer than a row has, under f32 and f16
  const uint8_t* data = nullptr;
  size_t stride = 0, rows = 0;
  bool stretch = false;  // rows are prefixes as they lie: scores are divided by their lengths
};

// Queries in the form that a code's kernel wants; each a row of [D] floats. Immutable.
class CodeQueries {
 public:
  // unit: scaled to length 1 first.
  CodeQueries(MatView<const float> queries, const CodeSpec& spec, bool unit);
  size_t count() const { return count_; }
  // Scores of queries [first, first + out.rows()) with `rows`; out: [queries, rows.count or more].
  void score(const CodeRows& code, const kernels::ScanRows& rows, size_t first,
             MatView<float> out) const;

 private:
  CodeSpec spec_;
  size_t count_ = 0;
  Mat<float> floats_;
  Mat<int8_t> integers_;
  std::vector<float> scales_;
  Mat<uint64_t> words_;
};

// The best k of each query among the allowed rows, best first, equal scores by row; a score that is
// not a number is no answer. Interruptible.
std::vector<std::vector<RowHit>> scan_rows(const CodeRows& code, const CodeQueries& queries,
                                           size_t k, RowMask allowed, ThreadPool& pool);

// The best k of the rows given (ascending), by query 0.
std::vector<RowHit> rescore_rows(const CodeRows& code, const CodeQueries& queries, size_t k,
                                 std::span<const uint32_t> rows, ThreadPool& pool);

}  // namespace akin::index
