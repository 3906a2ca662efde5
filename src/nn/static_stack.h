// Static models: a text's vector is the mean of its tokens' rows (StaticSpec), with a gradient that
// has a row only for rows that were used. On the CPU no torch operation touches a token.
//
// Shapes: B texts, R rows, D dims.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "base/threads.h"
#include "core/token_batch.h"
#include "model/model.h"

namespace akin::nn {

class StaticStack {
 public:
  // Reads mapping and weights of `model`. The pool outlives this object.
  StaticStack(const model::Model& model, ThreadPool& pool);

  // table: [R, D] -> [B, D]. On the CPU the same bytes for every number of threads; on other
  // devices by torch operations, with a dense gradient. Errors: bad_format for an id that the table
  // does not have.
  at::Tensor forward(const at::Tensor& table, const TokenBatch& batch) const;

  // One counted token: its row, and its weight over the number of the text's counted tokens.
  struct Use {
    uint32_t row;
    float weight;
  };
  // The batch as rows and weights, unknown tokens left out.
  struct Uses {
    std::vector<Use> uses;
    std::vector<uint32_t> offsets{0};  // [B + 1]
  };

 private:
  Uses find_uses(const TokenBatch& batch) const;

  ThreadPool& pool_;
  std::vector<uint32_t> mapping_;  // token -> row; empty: the same
  std::vector<float> weights_;     // per token; empty: 1
  size_t tokens_ = 0;              // ids are below this
  int32_t unk_ = -1;               // left out; -1: none
};

}  // namespace akin::nn
