#include "eval/pair_scores.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/threads.h"
#include "eval/cached_encoder.h"

namespace akin::eval {
namespace {

constexpr size_t kLanes = 16;

// Sum of f(i) in 16 partial sums: fast, and about as exact as numpy's pairwise sum.
template <typename Term>
float sum_terms(size_t count, const Term& term) {
  float lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  float total = 0;
  for (size_t lane = 0; i < count; ++i, ++lane) lanes[lane] += term(i);
  for (size_t step = kLanes / 2; step > 0; step /= 2) {
    for (size_t lane = 0; lane < step; ++lane) lanes[lane] += lanes[lane + step];
  }
  total += lanes[0];
  return total;
}

}  // namespace

float dot(const float* a, const float* b, size_t dim) {
  return sum_terms(dim, [a, b](size_t i) { return a[i] * b[i]; });
}

void normalize_rows(MatView<float> rows) {
  for (size_t r = 0; r < rows.rows(); ++r) {
    float* row = rows.row(r);
    const float length = std::max(std::sqrt(dot(row, row, rows.cols())), 1e-12F);
    for (size_t c = 0; c < rows.cols(); ++c) row[c] /= length;
  }
}

bool uses_dot(const CachedEncoder& encoder) { return encoder.info().similarity == "dot"; }

Mat<float> similarity_rows(MatView<const float> vectors, size_t dim, const CachedEncoder& encoder) {
  Mat<float> out = cut(vectors, dim, encoder.normalizes());
  if (!uses_dot(encoder)) normalize_rows(out.view());
  return out;
}

PairScores score_pairs(MatView<const float> a, MatView<const float> b, bool dot_similarity,
                       ThreadPool& pool) {
  AKIN_CHECK(a.rows() == b.rows() && a.cols() == b.cols());
  const size_t rows = a.rows(), dim = a.cols();
  PairScores out;
  for (auto* column : {&out.similarity, &out.cosine, &out.manhattan, &out.euclidean, &out.dot}) {
    column->resize(rows);
  }
  Mat<float> scratch(pool.size() * 2, dim);
  parallel_for(pool, rows, 256, [&](size_t r, size_t thread) {
    const float* x = a.row(r);
    const float* y = b.row(r);
    float* unit_x = scratch.row(thread * 2);
    float* unit_y = scratch.row(thread * 2 + 1);
    std::copy_n(x, dim, unit_x);
    std::copy_n(y, dim, unit_y);
    normalize_rows({unit_x, 1, dim});
    normalize_rows({unit_y, 1, dim});
    const float apart = sum_terms(dim, [&](size_t i) {
      const float d = unit_x[i] - unit_y[i];
      return d * d;
    });
    const float squared = sum_terms(dim, [&](size_t i) { return (x[i] - y[i]) * (x[i] - y[i]); });
    out.cosine[r] = double{1.0F - 0.5F * apart};
    out.manhattan[r] = double{sum_terms(dim, [&](size_t i) { return std::fabs(x[i] - y[i]); })};
    out.euclidean[r] = double{std::sqrt(squared)};
    out.dot[r] = double{dot(x, y, dim)};
    out.similarity[r] = dot_similarity ? out.dot[r] : double{dot(unit_x, unit_y, dim)};
  });
  return out;
}

Mat<float> encode_texts(const TaskContext& context, std::span<const std::string> texts) {
  const auto prompt = choose_prompt(context.encoder.info(), context.spec, TextSide::none);
  return context.encoder.encode(texts, prompt, context.progress);
}

std::vector<Scores> for_each_dim(const TaskContext& context, MatView<const float> a,
                                 MatView<const float> b, const ScorePair& score) {
  std::vector<Scores> out;
  const bool normalizes = context.encoder.normalizes();
  for (const size_t dim : context.dims) {
    check_interrupted();
    if (dim == a.cols()) {
      out.push_back(score(a, b));
      continue;
    }
    const Mat<float> short_a = cut(a, dim, normalizes);
    const Mat<float> short_b = cut(b, b.cols() == 0 ? 0 : dim, normalizes);
    out.push_back(score(short_a.view(), short_b.view()));
  }
  return out;
}

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

double deviation_of(std::span<const double> values) {
  const double mean = mean_of(values);
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return values.empty() ? 0 : std::sqrt(sum / static_cast<double>(values.size()));
}

}  // namespace akin::eval
