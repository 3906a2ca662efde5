// Sequence classification on the CPU engine: core::TextClassifier for folders with such a head
// (sentiment, intent, NLI), and core::PairScorer where it has one class (bge-reranker, ms-marco
// MiniLM, gte-reranker).
#pragma once

#include <memory>

#include "core/pair_scorer.h"
#include "core/text_classifier.h"
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

struct LoadedTextClassifier {
  std::shared_ptr<TextClassifier> classifier;
  std::shared_ptr<PairScorer> scorer;  // the same model; null unless it has one class
  EncoderInfo info;                    // of the folder; `dim` is the number of classes
};

// Errors: as model::load_model and model::load_classification_head.
LoadedTextClassifier load_text_classifier(const std::filesystem::path& folder,
                                          const CpuOptions& options = {});

}  // namespace akin::engine
