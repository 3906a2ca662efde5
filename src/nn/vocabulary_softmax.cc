#include "nn/vocabulary_softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "kernels/softmax_rows.h"
#include "kernels/train_product.h"

namespace akin::nn {
namespace {

using kernels::EpilogueKind;
using kernels::LeftOperand;
using kernels::RightOperand;

constexpr kernels::ProductNumbers kNumbers = kernels::ProductNumbers::f32;
constexpr size_t kRowsPerTask = 32;
constexpr size_t kBlockFloats = size_t{1} << 23;  // of logits that are there at a time
constexpr size_t kTokensPerTask = 1024;           // of the vocabulary
constexpr size_t kPanelsPerTask = 64;

kernels::Epilogue store() { return {EpilogueKind::store, Activation::identity}; }
kernels::Epilogue add() { return {EpilogueKind::add, Activation::identity}; }

// The table as both operands: rows to logits, and gradients of logits to gradients of rows.
class Table {
 public:
  Table(const VocabularyWeights& weights, bool backward, ThreadPool& pool)
      : tokens_(weights.table.rows()) {
    std::vector<const float*> rows(tokens_);
    for (size_t v = 0; v < tokens_; ++v) rows[v] = weights.table.row(v);
    across_.reserve(kNumbers, weights.table.cols(), tokens_);
    pack(pool, across_.panels(),
         [&](size_t begin, size_t end) { across_.pack_transposed(rows, begin, end); });
    across_.set_bias(0, weights.bias);
    if (!backward) return;
    along_.reserve(kNumbers, tokens_, weights.table.cols());
    pack(
        pool, along_.panels(), [&](size_t begin, size_t end) { along_.pack(rows, begin, end); }, 1);
  }
  size_t tokens() const { return tokens_; }
  const RightOperand& across() const { return across_; }
  const RightOperand& along() const { return along_; }

 private:
  template <typename Pack>
  static void pack(ThreadPool& pool, size_t panels, const Pack& pack_range,
                   size_t per_task = kPanelsPerTask) {
    parallel_for(pool, (panels + per_task - 1) / per_task, 1, [&](size_t task, size_t) {
      pack_range(task * per_task, std::min(panels, (task + 1) * per_task));
    });
  }
  size_t tokens_;
  RightOperand across_, along_;
};

// What a thread needs to go over a row of logits.
struct Threaded {
  LeftOperand left;
  std::vector<float> ones, zeros, unused;  // [V]
  void prepare(size_t tokens) {
    if (ones.size() == tokens) return;
    ones.assign(tokens, 1.0F);
    zeros.assign(tokens, 0.0F);
    unused.assign(tokens, 0.0F);
  }
};

// logits become their gradient (the softmax, less one at the label), times scale. Returns the loss.
double row_gradient(std::span<float> logits, int32_t label, float scale, bool backward,
                    Threaded& own) {
  const kernels::LogitRow row{logits.data(), own.ones.data(), 1.0F, logits.size()};
  const float wanted = logits[static_cast<size_t>(label)];
  const float largest = kernels::logit_maxima(row, own.unused.data());
  const kernels::LogitShifts shifts{largest, nullptr};
  const float sum = kernels::logit_sums(row, shifts, own.unused.data()).sum;
  const double loss = std::log(static_cast<double>(sum)) + largest - wanted;
  if (!backward) return loss;
  kernels::logit_gradients(row, shifts, scale / sum, own.zeros.data(), own.unused.data(),
                           logits.data());
  logits[static_cast<size_t>(label)] -= scale;
  return loss;
}

void check_ids(std::span<const int32_t> ids, size_t rows, size_t tokens) {
  AKIN_CHECK(ids.size() == rows);
  for (const int32_t id : ids) {
    AKIN_CHECK(id >= 0 && static_cast<size_t>(id) < tokens);
  }
}

}  // namespace

double vocabulary_softmax(const VocabularyWeights& weights, MatView<const float> rows,
                          std::span<const int32_t> labels, ThreadPool& pool,
                          const VocabularyGradients& gradients) {
  const size_t count = rows.rows(), tokens = weights.table.rows(), dim = rows.cols();
  check_ids(labels, count, tokens);
  if (count == 0) return 0;
  const bool backward = gradients.rows.rows() > 0;
  const Table table(weights, backward, pool);
  const size_t block =
      std::clamp(kBlockFloats / tokens / kRowsPerTask, size_t{2}, size_t{64}) * kRowsPerTask;
  Mat<float> logits(std::min(block, (count + kRowsPerTask - 1) / kRowsPerTask * kRowsPerTask),
                    tokens);
  std::vector<Threaded> scratch(pool.size());
  std::vector<double> losses(count);
  std::vector<const float*> pointers;
  for (size_t begin = 0; begin < count; begin += block) {
    const size_t size = std::min(block, count - begin);
    const size_t tasks = (size + kRowsPerTask - 1) / kRowsPerTask;
    parallel_for(pool, tasks, 1, [&](size_t task, size_t thread) {
      const size_t first = task * kRowsPerTask, n = std::min(kRowsPerTask, size - first);
      LeftOperand& left = scratch[thread].left;
      scratch[thread].prepare(tokens);
      const MatView<float> own = logits.view().row_range(first, n);
      left.set(kNumbers, rows.row_range(begin + first, n));
      table.across().multiply(left, store(), own);
      for (size_t i = 0; i < n; ++i) {
        losses[begin + first + i] =
            row_gradient({own.row(i), tokens}, labels[begin + first + i],
                         static_cast<float>(gradients.scale), backward, scratch[thread]);
      }
      if (!backward) return;
      left.set(kNumbers, own);
      table.along().multiply(left, store(), gradients.rows.row_range(begin + first, n));
    });
    if (!backward || gradients.table.rows() == 0) continue;
    RightOperand hidden;
    pointers.resize(size);
    for (size_t i = 0; i < size; ++i) pointers[i] = rows.row(begin + i);
    hidden.reserve(kNumbers, size, dim);
    hidden.pack(pointers, 0, hidden.panels());
    parallel_for(
        pool, (tokens + kTokensPerTask - 1) / kTokensPerTask, 1, [&](size_t task, size_t thread) {
          const size_t first = task * kTokensPerTask;
          const size_t n = std::min(kTokensPerTask, tokens - first);
          const MatView<const float> own =
              MatView<const float>(logits.view().row_range(0, size)).col_range(first, n);
          scratch[thread].left.set_transposed(kNumbers, own);
          hidden.multiply(scratch[thread].left, add(), gradients.table.row_range(first, n));
          for (size_t i = 0; i < size && !gradients.bias.empty(); ++i) {
            for (size_t v = 0; v < n; ++v) gradients.bias[first + v] += own.row(i)[v];
          }
        });
  }
  double sum = 0;
  for (const double loss : losses) sum += loss;
  return sum;
}

namespace {

// One text's largest logits, then their gradients.
struct Bag {
  std::vector<float> largest;  // [V]
  std::vector<uint32_t> row;   // [V] where it is, within the rows of the batch
  double loss = 0;
};

void find_largest(const RightOperand& across, MatView<const float> rows, size_t begin, size_t end,
                  LeftOperand& left, MatView<float> logits, Bag& bag) {
  std::fill(bag.largest.begin(), bag.largest.end(), std::numeric_limits<float>::lowest());
  for (size_t first = begin; first < end; first += logits.rows()) {
    const size_t n = std::min(logits.rows(), end - first);
    left.set(kNumbers, rows.row_range(first, n));
    across.multiply(left, store(), logits.row_range(0, n));
    for (size_t i = 0; i < n; ++i) {
      const float* row = logits.row(i);
      for (size_t v = 0; v < bag.largest.size(); ++v) {
        if (row[v] <= bag.largest[v]) continue;
        bag.largest[v] = row[v];
        bag.row[v] = static_cast<uint32_t>(first + i);
      }
    }
  }
}

// largest becomes its gradient.
void bag_gradient(std::span<const int32_t> ids, double scale, Bag& bag) {
  const float top = *std::max_element(bag.largest.begin(), bag.largest.end());
  double sum = 0;
  for (const float logit : bag.largest) sum += std::exp(logit - top);
  const double log_sum = std::log(sum) + top;
  std::vector<int32_t> present(ids.begin(), ids.end());
  std::sort(present.begin(), present.end());
  present.erase(std::unique(present.begin(), present.end()), present.end());
  const double weight = 1 / static_cast<double>(ids.size());
  const double all = weight * static_cast<double>(present.size());
  for (const int32_t id : present) {
    bag.loss += weight * (log_sum - bag.largest[static_cast<size_t>(id)]);
  }
  for (float& logit : bag.largest) {
    logit = static_cast<float>(scale * all * std::exp(logit - log_sum));
  }
  for (const int32_t id : present) {
    bag.largest[static_cast<size_t>(id)] -= static_cast<float>(scale * weight);
  }
}

void add_scaled(float factor, const float* x, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] += factor * x[i];
}

}  // namespace

double bag_of_words(const VocabularyWeights& weights, MatView<const float> rows,
                    std::span<const int32_t> ids, std::span<const uint32_t> offsets,
                    ThreadPool& pool, const VocabularyGradients& gradients) {
  const size_t tokens = weights.table.rows(), dim = rows.cols(), texts = offsets.size() - 1;
  check_ids(ids, rows.rows(), tokens);
  const bool backward = gradients.rows.rows() > 0;
  const Table table(weights, false, pool);
  std::vector<Bag> bags(texts);
  struct Own {
    LeftOperand left;
    Mat<float> logits;
  };
  std::vector<Own> scratch(pool.size());
  parallel_for(pool, texts, 1, [&](size_t b, size_t thread) {
    const size_t begin = offsets[b], end = offsets[b + 1];
    if (begin == end) return;
    Own& own = scratch[thread];
    if (own.logits.rows() == 0) own.logits = Mat<float>(kRowsPerTask, tokens);
    Bag& bag = bags[b];
    bag.largest.resize(tokens);
    bag.row.resize(tokens);
    find_largest(table.across(), rows, begin, end, own.left, own.logits.view(), bag);
    bag_gradient(ids.subspan(begin, end - begin), gradients.scale, bag);
    if (!backward) return;
    for (size_t i = begin; i < end; ++i) std::fill_n(gradients.rows.row(i), dim, 0.0F);
    for (size_t v = 0; v < tokens; ++v) {
      add_scaled(bag.largest[v], weights.table.row(v), dim, gradients.rows.row(bag.row[v]));
    }
  });
  double sum = 0;
  for (const Bag& bag : bags) sum += bag.loss;
  if (!backward || gradients.table.rows() == 0) return sum;
  parallel_for(pool, (tokens + kTokensPerTask - 1) / kTokensPerTask, 1, [&](size_t task, size_t) {
    const size_t end = std::min(tokens, (task + 1) * kTokensPerTask);
    for (const Bag& bag : bags) {
      if (bag.largest.empty()) continue;
      for (size_t v = task * kTokensPerTask; v < end; ++v) {
        add_scaled(bag.largest[v], rows.row(bag.row[v]), dim, gradients.table.row(v));
        if (!gradients.bias.empty()) gradients.bias[v] += bag.largest[v];
      }
    }
  });
  return sum;
}

}  // namespace akin::nn
