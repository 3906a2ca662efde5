// The forward pass in plain double loops, straight from the definitions: what the engine's vectors
// are compared with. Slow on purpose, and shares no arithmetic with the engine: no tiling, no
// packing, no fused weights, LoRA as W x + s B (A x).
//
// Follows: attention arXiv:1706.03762, BERT arXiv:1810.04805, T5 buckets arXiv:1910.10683,
// RoPE arXiv:2104.09864, ALiBi arXiv:2108.12409 (symmetric: arXiv:2310.19923), LoRA
// arXiv:2106.09685, pooling as sentence-transformers' Pooling module defines it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/model.h"

namespace akin::parity {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

struct ReferenceText {
  std::vector<int32_t> ids;
  int32_t adapter = -1;      // -1: none
  size_t prompt_tokens = 0;  // leading tokens left out of averages
};

struct ReferenceOptions {
  bool normalize = true;
  size_t dims = 0;  // 0: all
};

class Reference {
 public:
  explicit Reference(const model::Model& model) : model_(model) {}
  // [L, hidden]; empty text: no rows. Not for static models.
  Rows token_vectors(const ReferenceText& text) const;
  // [dim]: tokens, pooling, heads, truncation to dims, normalisation.
  Row vector(const ReferenceText& text, const ReferenceOptions& options = {}) const;

 private:
  Rows embed(const ReferenceText& text) const;
  Rows attention(const Rows& x, int64_t layer, int32_t adapter) const;
  Rows feed_forward(const Rows& x, int64_t layer, int32_t adapter) const;
  Rows transformer_layer(const Rows& x, int64_t layer, int32_t adapter) const;
  Row static_vector(const ReferenceText& text) const;
  Row pool(const Rows& tokens, size_t prompt_tokens) const;
  Row heads(Row vector) const;

  const model::Model& model_;
};

// The bucket of "key position - query position" (T5's bidirectional form).
int64_t relative_bucket(int64_t key_minus_query, int64_t buckets, int64_t max_distance);
// The slope of head h of H.
double alibi_slope(int64_t head, int64_t heads);

}  // namespace akin::parity
