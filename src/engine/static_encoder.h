// Static embeddings (model2vec, StaticEmbedding): a text's vector is the mean of its tokens' rows.
// No transformer.
#pragma once

#include <memory>

#include "engine/cpu_encoder.h"

namespace akin::engine {

std::unique_ptr<Encoder> make_static_encoder(model::Model model, const CpuOptions& options);

}  // namespace akin::engine
