// Value and gradient against plain loops in double, on every instruction set.
#include "kernels/in_batch_softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/rng.h"
#include "kernels/cpu.h"
#include "kernels/softmax_rows.h"

namespace akin::kernels {
namespace {

using Doubles = std::vector<std::vector<double>>;

struct Batch {
  Batch(size_t rows, size_t cols, size_t width) : queries(rows, width), candidates(cols, width) {
    Rng rng(rows * 1000 + cols);
    for (size_t i = 0; i < rows * width; ++i) queries.data()[i] = static_cast<float>(rng.normal());
    for (size_t i = 0; i < cols * width; ++i)
      candidates.data()[i] = static_cast<float>(rng.normal());
    for (size_t i = 0; i < rows * width; ++i) candidates.data()[i] += queries.data()[i];
    for (size_t j = 0; j < cols; ++j) pointers.push_back(candidates.row(j));
    begin.push_back(0);
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = i % 5; j < cols; j += 37 + i) {
        if (j != i) excluded.push_back(static_cast<uint32_t>(j));
      }
      begin.push_back(static_cast<uint32_t>(excluded.size()));
    }
  }
  InBatchSoftmax call(double temperature, bool both) const {
    return {.queries = queries.view(),
            .candidates = pointers,
            .dims = dims,
            .weights = weights,
            .temperature = temperature,
            .both_directions = both,
            .excluded_begin = begin,
            .excluded = excluded};
  }
  Mat<float> queries, candidates;
  std::vector<const float*> pointers;
  std::vector<size_t> dims;
  std::vector<double> weights;
  std::vector<uint32_t> begin, excluded;
};

// The loss of one prefix by the definition, and its gradient by the chain rule over cosines.
struct Plain {
  Plain(const InBatchSoftmax& in, size_t k) : in_(in), dim_(in.dims[k]), factor_(in.weights[k]) {
    const size_t rows = in.queries.rows(), cols = in.candidates.size();
    factor_ /= static_cast<double>(rows);
    counted_.assign(rows, std::vector<double>(cols, 1));
    for (size_t i = 0; i < rows; ++i) {
      for (size_t e = in.excluded_begin[i]; e < in.excluded_begin[i + 1]; ++e)
        counted_[i][in.excluded[e]] = 0;
    }
    logits_ = slopes_ = Doubles(rows, std::vector<double>(cols, 0));
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < cols; ++j) {
        logits_[i][j] = dot(in.queries.row(i), in.candidates[j]) /
                        (norm(in.queries.row(i)) * norm(in.candidates[j]) * in.temperature);
      }
    }
    for (size_t i = 0; i < rows; ++i) add_term(i, cols, false);
    for (size_t i = 0; i < rows && in.both_directions; ++i) add_term(i, rows, true);
  }
  double dot(const float* a, const float* b) const {
    double sum = 0;
    for (size_t e = 0; e < dim_; ++e) sum += double{a[e]} * double{b[e]};
    return sum;
  }
  double norm(const float* a) const { return std::sqrt(dot(a, a)); }
  void add_term(size_t i, size_t count, bool column) {
    const auto row_of = [&](size_t j) { return column ? j : i; };
    const auto col_of = [&](size_t j) { return column ? i : j; };
    double total = 0, most = logits_[i][i];
    for (size_t j = 0; j < count; ++j) most = std::max(most, logits_[row_of(j)][col_of(j)]);
    for (size_t j = 0; j < count; ++j)
      total += counted_[row_of(j)][col_of(j)] * std::exp(logits_[row_of(j)][col_of(j)] - most);
    loss += factor_ * (std::log(total) + most - logits_[i][i]);
    for (size_t j = 0; j < count; ++j) {
      const double share =
          counted_[row_of(j)][col_of(j)] * std::exp(logits_[row_of(j)][col_of(j)] - most) / total;
      slopes_[row_of(j)][col_of(j)] += factor_ * (share - (i == j ? 1 : 0));
    }
  }
  // Adds dL/dq and dL/dc.
  void add_gradient(Doubles& d_queries, Doubles& d_candidates) const {
    for (size_t i = 0; i < slopes_.size(); ++i) {
      for (size_t j = 0; j < slopes_[i].size(); ++j) {
        const float *q = in_.queries.row(i), *c = in_.candidates[j];
        const double slope = slopes_[i][j] / in_.temperature, nq = norm(q), nc = norm(c);
        const double cosine = logits_[i][j] * in_.temperature;
        for (size_t e = 0; e < dim_; ++e) {
          d_queries[i][e] += slope * (c[e] / nc - cosine * q[e] / nq) / nq;
          d_candidates[j][e] += slope * (q[e] / nq - cosine * c[e] / nc) / nc;
        }
      }
    }
  }
  double loss = 0;

 private:
  const InBatchSoftmax& in_;
  size_t dim_;
  double factor_;
  Doubles counted_, logits_, slopes_;
};

void expect_near(const Mat<float>& got, const Doubles& expected, const std::string& name) {
  double largest = 0, worst = 0;
  for (size_t i = 0; i < got.rows(); ++i) {
    for (size_t e = 0; e < got.cols(); ++e) {
      largest = std::max(largest, std::abs(expected[i][e]));
      worst = std::max(worst, std::abs(expected[i][e] - got(i, e)));
    }
  }
  EXPECT_LE(worst, 1e-5 * largest) << name;
}

void expect_plain(const Batch& batch, double temperature, bool both, const std::string& name) {
  const InBatchSoftmax call = batch.call(temperature, both);
  const size_t rows = batch.queries.rows(), cols = batch.candidates.rows(),
               width = batch.queries.cols();
  Doubles d_queries(rows, std::vector<double>(width)), d_candidates(cols, d_queries[0]);
  double loss = 0;
  for (size_t k = 0; k < call.dims.size(); ++k) {
    const Plain plain(call, k);
    loss += plain.loss;
    plain.add_gradient(d_queries, d_candidates);
  }
  ThreadPool pool(2);
  Mat<float> got_queries(rows, width), got_candidates(cols, width);
  const auto value = in_batch_softmax(call, pool, got_queries.view(), got_candidates.view());
  EXPECT_NEAR(value.loss, loss, 1e-5 * loss) << name;
  EXPECT_EQ(in_batch_softmax(call, pool, {}, {}).loss, value.loss) << name;
  expect_near(got_queries, d_queries, name + ", queries");
  expect_near(got_candidates, d_candidates, name + ", candidates");
}

TEST(InBatchSoftmax, IsItsDefinitionOnEveryInstructionSet) {
  Batch small(13, 29, 11), wide(310, 410, 20);  // the second: several chunks, two tiles
  Batch many(310, 410, 20);                     // too many products to keep: taken twice
  for (size_t dim = 4; dim <= 20; dim += 2) {
    many.dims.push_back(dim);
    many.weights.push_back(0.5);
  }
  small.dims = {3, 8};  // the last dims in no prefix
  small.weights = {0.7, 1.4};
  wide.dims = {20};
  wide.weights = {1};
  for (const Isa isa : usable_isas()) {
    set_isa(isa);
    for (const double temperature : {0.01, 0.05, 0.5}) {
      for (const bool both : {false, true}) {
        expect_plain(small, temperature, both,
                     std::string(isa_name(isa)) + " at " + std::to_string(temperature));
      }
    }
    expect_plain(wide, isa == detected_isa() ? 0.02 : 0.1, true, std::string(isa_name(isa)));
    expect_plain(many, 0.1, true, std::string(isa_name(isa)) + ", many");
  }
  set_isa(detected_isa());
}

// The exponential alone: one column, so that a sum is one term.
TEST(InBatchSoftmax, ExponentialsAreRightToTwoUnitsInTheLastPlace) {
  const float one = 1;
  std::vector<float> lane(16, 1.0F);
  for (const Isa isa : usable_isas()) {
    set_isa(isa);
    for (double x = -87; x < 0; x += 0.0137) {
      const auto logit = static_cast<float>(x);
      const LogitRow row{&logit, &one, 1, 1};
      float column = 0;
      const float got = logit_sums(row, {0, nullptr}, &column).sum;
      const double expected = std::exp(static_cast<double>(logit));
      ASSERT_NEAR(got, expected, 2.5e-7 * expected) << isa_name(isa) << " " << x;
      ASSERT_EQ(got, column);
      const std::vector<float> dots(16, logit);
      std::vector<float> columns(16, 0.0F);
      logit_sums({dots.data(), lane.data(), 1, 16}, {0, nullptr}, columns.data());
      ASSERT_EQ(columns[15], got);
    }
  }
  set_isa(detected_isa());
}

}  // namespace
}  // namespace akin::kernels
