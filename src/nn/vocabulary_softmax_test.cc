// The vocabulary's losses against double loops, and their gradients against central differences;
// the same bytes for one thread and for three.
#include "nn/vocabulary_softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>
#include <vector>

#include "base/rng.h"

namespace akin::nn {
namespace {

constexpr size_t kRows = 70, kTokens = 133, kDim = 19;

struct Case {
  Mat<float> rows{kRows, kDim}, table{kTokens, kDim};
  std::vector<float> bias;
  std::vector<int32_t> labels;
  std::vector<uint32_t> offsets = {0, 20, 20, 50, kRows};

  Case() : bias(kTokens) {
    Rng rng(4);
    const auto fill = [&](float* values, size_t n) {
      for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>(0.5 * rng.normal());
    };
    fill(rows.data(), kRows * kDim);
    fill(table.data(), kTokens * kDim);
    fill(bias.data(), kTokens);
    for (size_t i = 0; i < kRows; ++i) {
      labels.push_back(static_cast<int32_t>(rng.below(i % 2 == 0 ? 9 : kTokens)));
    }
  }
  VocabularyWeights weights() const { return {table.view(), bias}; }
  double logit(size_t row, size_t token) const {
    double sum = bias[token];
    for (size_t d = 0; d < kDim; ++d) sum += static_cast<double>(rows(row, d)) * table(token, d);
    return sum;
  }
};

double log_sum(const std::vector<double>& logits) {
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit);
  return std::log(sum);
}

double naive_softmax(const Case& c) {
  double loss = 0;
  for (size_t i = 0; i < kRows; ++i) {
    std::vector<double> logits;
    for (size_t v = 0; v < kTokens; ++v) logits.push_back(c.logit(i, v));
    loss += log_sum(logits) - logits[static_cast<size_t>(c.labels[i])];
  }
  return loss;
}

double naive_bag(const Case& c) {
  double loss = 0;
  for (size_t b = 0; b + 1 < c.offsets.size(); ++b) {
    const size_t begin = c.offsets[b], end = c.offsets[b + 1];
    if (begin == end) continue;
    std::vector<double> largest;
    for (size_t v = 0; v < kTokens; ++v) {
      double most = c.logit(begin, v);
      for (size_t i = begin; i < end; ++i) most = std::max(most, c.logit(i, v));
      largest.push_back(most);
    }
    const std::set<int32_t> present(c.labels.begin() + static_cast<ptrdiff_t>(begin),
                                    c.labels.begin() + static_cast<ptrdiff_t>(end));
    for (const int32_t id : present) {
      loss +=
          (log_sum(largest) - largest[static_cast<size_t>(id)]) / static_cast<double>(end - begin);
    }
  }
  return loss;
}

struct Gradients {
  Mat<float> rows{kRows, kDim}, table{kTokens, kDim};
  std::vector<float> bias = std::vector<float>(kTokens, 0.0F);
  VocabularyGradients views(double scale) { return {rows.view(), table.view(), bias, scale}; }
};

using Loss = std::function<double(const Case&, ThreadPool&, const VocabularyGradients&)>;

void check(const Loss& loss, double (*naive)(const Case&)) {
  Case c;
  ThreadPool one(1), three(3);
  Gradients g, again;
  const double value = loss(c, one, g.views(0.5));
  EXPECT_NEAR(value, naive(c), 2e-5 * std::abs(value));
  EXPECT_NEAR(loss(c, one, {}), value, 1e-9);
  EXPECT_EQ(loss(c, three, again.views(0.5)), value);
  EXPECT_TRUE(std::equal(g.rows.data(), g.rows.data() + kRows * kDim, again.rows.data()));
  EXPECT_TRUE(std::equal(g.table.data(), g.table.data() + kTokens * kDim, again.table.data()));
  EXPECT_EQ(g.bias, again.bias);
  constexpr float kStep = 1e-3F;
  const auto difference = [&](float& value_at) {
    const float kept = value_at;
    value_at = kept + kStep;
    const double above = naive(c), high = value_at;
    value_at = kept - kStep;
    const double below = naive(c), low = value_at;
    value_at = kept;
    return (above - below) / (high - low);
  };
  for (size_t n = 0; n < 12; ++n) {
    const size_t row = (7 * n + 3) % kRows, token = (n % 2 == 0 ? n % 9 : 11 * n) % kTokens;
    const size_t d = (5 * n) % kDim;
    EXPECT_NEAR(g.rows(row, d), 0.5 * difference(c.rows(row, d)), 2e-4);
    EXPECT_NEAR(g.table(token, d), 0.5 * difference(c.table(token, d)), 2e-4);
    EXPECT_NEAR(g.bias[token], 0.5 * difference(c.bias[token]), 2e-4);
  }
}

TEST(VocabularySoftmax, EqualsTheDefinition) {
  check(
      [](const Case& c, ThreadPool& pool, const VocabularyGradients& g) {
        return vocabulary_softmax(c.weights(), c.rows.view(), c.labels, pool, g);
      },
      naive_softmax);
}

TEST(VocabularySoftmax, BagOfWordsEqualsTheDefinition) {
  check(
      [](const Case& c, ThreadPool& pool, const VocabularyGradients& g) {
        return bag_of_words(c.weights(), c.rows.view(), c.labels, c.offsets, pool, g);
      },
      naive_bag);
}

}  // namespace
}  // namespace akin::nn
