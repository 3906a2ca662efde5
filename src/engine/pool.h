// From token vectors to one vector per text: pooling, Dense heads, dims, unit length.
#pragma once

#include <span>

#include "core/token_batch.h"
#include "engine/packed_model.h"

namespace akin::engine {

// Definitions of sentence-transformers' Pooling. tokens: [L, D]; the first prompt_tokens rows are
// left out of every mode but cls. out: [modes * D], concatenated in the spec's order. A text whose
// every token is left out gives zeros.
void pool_text(const PoolingSpec& spec, MatView<const float> tokens, size_t prompt_tokens,
               std::span<float> out);

// Applies the heads in order to pooled vectors [B, E0] and returns [B, E].
Mat<float> apply_heads(const PackedModel& model, Mat<float> pooled);

// x / max(|x|, 1e-12), the norm summed in float64.
void normalize(std::span<float> x);

}  // namespace akin::engine
