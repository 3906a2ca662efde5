// Cross-encoders on the CPU engine: core::PairScorer for folders with a sequence classification
// head of one class (bge-reranker, ms-marco MiniLM, gte-reranker).
#pragma once

#include <memory>

#include "core/pair_scorer.h"
#include "engine/cpu_encoder.h"
#include "model/classification_head.h"

namespace akin::engine {

struct LoadedPairScorer {
  std::unique_ptr<PairScorer> scorer;
  EncoderInfo info;  // of the folder; `dim` is 1: a score
};

// Errors: as model::load_model and model::load_classification_head; unsupported for several
// classes.
LoadedPairScorer load_pair_scorer(const std::filesystem::path& folder,
                                  const CpuOptions& options = {});
std::unique_ptr<PairScorer> make_pair_scorer(model::Model model, model::ClassificationHead head,
                                             const CpuOptions& options = {});

}  // namespace akin::engine
