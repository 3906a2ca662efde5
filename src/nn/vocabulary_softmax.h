// Cross-entropy over a whole vocabulary, value and gradients at once, on the CPU: logits are the
// products of rows with the token table, a block of rows at a time, so their matrix never exists.
// Also the bag-of-words loss of RetroMAE-2 (DupMAE, arXiv:2305.02564), which reads each token's
// largest logit over the positions of a text. Knows no libtorch. The same bytes for any number of
// threads.
//
// Shapes: M rows, V tokens of the vocabulary, D hidden, B texts.
#pragma once

#include <cstdint>
#include <span>

#include "base/mat.h"
#include "base/threads.h"

namespace akin::nn {

struct VocabularyWeights {
  MatView<const float> table;   // [V, D]
  std::span<const float> bias;  // [V]
};

// Where gradients go. rows are written, table and bias are added to. All empty: none is wanted.
struct VocabularyGradients {
  MatView<float> rows;    // [M, D]
  MatView<float> table;   // [V, D]
  std::span<float> bias;  // [V]
  double scale = 1;       // of everything that is added
};

// Sum over the rows of -ln softmax(rows table^T + bias)[label].
double vocabulary_softmax(const VocabularyWeights& weights, MatView<const float> rows,
                          std::span<const int32_t> labels, ThreadPool& pool,
                          const VocabularyGradients& gradients);

// Sum over texts of -sum_v w_v ln softmax(m)[v], m_v the largest logit of token v over the rows of
// the text, w_v = 1 / (number of the text's ids) for each different one of them.
// Rows of text b: [offsets[b], offsets[b + 1]); ids: [M], the tokens that stand there.
double bag_of_words(const VocabularyWeights& weights, MatView<const float> rows,
                    std::span<const int32_t> ids, std::span<const uint32_t> offsets,
                    ThreadPool& pool, const VocabularyGradients& gradients);

}  // namespace akin::nn
