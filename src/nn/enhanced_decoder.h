// RetroMAE's decoder (arXiv:2205.12035, and its reference code): one transformer layer that has to
// rebuild a text from its sentence vector. Enhanced: the queries are the sentence vector plus each
// position's embedding, keys and values the sentence vector followed by the text's embedded tokens,
// and every row sees a choice of them of its own. Basic: a layer over the masked text, whose first
// place holds the sentence vector. Torch operations; thrown away after pre-training.
//
// Models with rotary positions have no position embeddings: there q and k are rotated, and the
// queries are the sentence vector alone.
//
// Shapes: B texts, T tokens in all, L tokens of a text, D hidden, H heads, d head_dim.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "core/arch_spec.h"
#include "core/token_batch.h"
#include "nn/mlm_head.h"
#include "nn/named_tensors.h"
#include "nn/text_model.h"
#include "nn/torch_dropout.h"

namespace akin::nn {

class EnhancedDecoder {
 public:
  // Errors: unsupported, for a model whose positions are neither a table nor rotary.
  EnhancedDecoder(const ArchSpec& arch, const StackOptions& numbers, const NewWeights& weights);
  const std::vector<Parameter>& parameters() const { return parameters_; }  // "decoder.*"

  struct Input {
    const NamedTensors& weights;  // of the model: embed.*
    at::Tensor sentences;         // [B, D]
    const TokenBatch& texts;      // enhanced: as they were; basic: masked
    // Text b's visible[b], [L * L], 1 = row sees column. Empty: basic decoding.
    std::span<const std::vector<uint8_t>> visible;
    DropoutSeed seed;
  };
  at::Tensor forward(const Input& in) const;  // [T, D]

 private:
  at::Tensor weight(std::string_view name) const;
  at::Tensor embed(const Input& in, const at::Tensor& positions) const;
  at::Tensor attend(const Input& in, const at::Tensor& queries, const at::Tensor& keys,
                    const at::Tensor& positions) const;
  at::Tensor dropped(const Input& in, const at::Tensor& x, uint64_t place) const;
  at::Tensor norm(std::string_view name, const at::Tensor& x) const;

  const ArchSpec arch_;
  const StackOptions numbers_;
  std::vector<Parameter> parameters_;
  NamedTensors own_;
};

}  // namespace akin::nn
