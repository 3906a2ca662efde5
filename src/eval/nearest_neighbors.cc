#include "eval/nearest_neighbors.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/threads.h"
#include "eval/checks.h"
#include "eval/dense.h"

namespace akin::eval {
namespace {

constexpr std::string_view kWhere = "nearest neighbours";
using dense::kPanel;
constexpr size_t kGrain = 96;

// The training rows packed as columns, and their squared norms.
struct PackedRows {
  explicit PackedRows(MatView<const float> x)
      : count(x.rows()),
        depth(x.cols()),
        panels(dense::panels_of(x.rows())),
        data(panels * x.cols(), kPanel),
        norms(x.rows()) {
    for (size_t r = 0; r < count; ++r) {
      const float* row = x.row(r);
      double* to = data.data() + dense::packed_at(0, r, depth);
      for (size_t k = 0; k < depth; ++k) {
        const double value = row[k];
        to[k * kPanel] = value;
        norms[r] += value * value;
      }
    }
  }
  size_t count, depth, panels;
  Mat<double> data;
  std::vector<double> norms;
};

// The k nearest for queries [begin, end): the query's own norm moves all distances alike.
void search(const PackedRows& train, MatView<const float> queries, size_t begin, size_t end,
            MatView<uint32_t> out) {
  const size_t rows = end - begin;
  Mat<double> wide(rows, train.depth), products(train.panels * rows, kPanel);
  for (size_t r = 0; r < rows; ++r) std::copy_n(queries.row(begin + r), train.depth, wide.row(r));
  dense::multiply(wide.view(), 0, rows, train.data.data(), train.panels, products.data(), rows);
  std::vector<std::pair<double, uint32_t>> found(train.count);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t t = 0; t < train.count; ++t) {
      const double product = products.data()[dense::packed_at(r, t, rows)];
      found[t] = {train.norms[t] - 2 * product, static_cast<uint32_t>(t)};
    }
    const auto last = found.begin() + static_cast<std::ptrdiff_t>(out.cols());
    std::partial_sort(found.begin(), last, found.end());
    for (size_t i = 0; i < out.cols(); ++i) out(begin + r, i) = found[i].second;
  }
}

}  // namespace

Mat<uint32_t> nearest_rows(MatView<const float> train, MatView<const float> queries, size_t k,
                           ThreadPool& pool) {
  if (k == 0 || k > train.rows()) {
    throw_error(ErrorKind::usage, kWhere,
                "asked for {} neighbours of {} training rows; give the task more rows (a larger "
                "train split, or samples_per_label)",
                k, train.rows());
  }
  if (train.cols() != queries.cols()) {
    throw_error(ErrorKind::usage, kWhere, "queries have {} dims, training rows {}", queries.cols(),
                train.cols());
  }
  check_finite(train, kWhere, "training embeddings");
  check_finite(queries, kWhere, "test embeddings");
  const PackedRows packed(train);
  Mat<uint32_t> out(queries.rows(), k);
  dense::for_blocks(&pool, queries.rows(), kGrain, [&](size_t begin, size_t end) {
    search(packed, queries, begin, end, out.view());
  });
  return out;
}

Mat<uint8_t> vote_multilabel(MatView<const float> train, MatView<const uint8_t> labels,
                             MatView<const float> queries, size_t k, ThreadPool& pool) {
  check_same_size(labels.rows(), train.rows(), kWhere, "label rows");
  const Mat<uint32_t> near = nearest_rows(train, queries, k, pool);
  Mat<uint8_t> out(queries.rows(), labels.cols());
  for (size_t r = 0; r < out.rows(); ++r) {
    for (size_t l = 0; l < out.cols(); ++l) {
      size_t votes = 0;
      for (size_t i = 0; i < k; ++i) votes += labels(near(r, i), l) != 0 ? 1 : 0;
      out(r, l) = 2 * votes > k ? 1 : 0;
    }
  }
  return out;
}

}  // namespace akin::eval
