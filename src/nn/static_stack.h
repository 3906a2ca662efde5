// Static models: a text's vector is the mean of its tokens' rows (StaticSpec), with a gradient that
// has a row only for rows that were used. No torch operation touches a token.
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

  // table: [R, D] float32 on the CPU -> [B, D]. The same bytes for every number of threads. Errors:
  // bad_format for an id that the table does not have.
  at::Tensor forward(const at::Tensor& table, const TokenBatch& batch) const;

 private:
  ThreadPool& pool_;
  std::vector<uint32_t> mapping_;  // token -> row; empty: the same
  std::vector<float> weights_;     // per token; empty: 1
  size_t tokens_ = 0;              // ids are below this
  int32_t unk_ = -1;               // left out; -1: none
};

}  // namespace akin::nn
