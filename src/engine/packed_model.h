// A model's weights in the form the kernels want: packed products, f32 norms, embedding tables left
// in the mapped file.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/arch_spec.h"
#include "engine/lora.h"
#include "kernels/linear.h"
#include "model/model.h"

namespace akin::engine {

struct NormWeights {
  std::vector<float> gamma, beta;  // empty gamma: no norm here; empty beta: no bias
  bool present() const { return !gamma.empty(); }
};

// A product with the adapters that ride on it.
struct Projection {
  kernels::PackedLinear base;
  LoraLinear lora;
};

struct PackedLayer {
  Projection qkv;   // [3 H d, D]: q, k, v one after the other
  Projection out;   // [D, H d]
  Projection up;    // [F, D], or gate then up, [2 F, D]
  Projection down;  // [D, F]
  NormWeights attn_norm, ffn_norm, q_norm, k_norm, inner_norm;
  bool local = false;  // ModernBERT: attends within arch.local_window
};

struct PackedHead {
  model::HeadKind kind = model::HeadKind::normalize;
  model::DenseSpec spec;
  kernels::PackedLinear dense;
  std::optional<kernels::PackedLinear> residual;
};

struct PackedModel {
  ArchSpec arch;
  kernels::Backend backend = kernels::Backend::simd_f32;
  std::shared_ptr<const model::Weights> weights;  // keeps the mapped tables alive
  Tensor token_table, position_table;             // [V, D], [P, D]
  std::vector<float> type_row;                    // [D], or empty
  LoraEmbedding token_lora, type_lora;
  NormWeights embedding_norm, final_norm;
  Mat<float> relative_bias;  // [buckets, H]
  std::vector<PackedLayer> layers;
  std::vector<PackedHead> heads;  // after pooling; always f32 products
};

// Errors: bad_format or unsupported for weights that do not fit the spec.
PackedModel pack_model(const model::Model& model, Precision precision);

}  // namespace akin::engine
