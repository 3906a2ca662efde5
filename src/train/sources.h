// The sources of a recipe, opened: records, losses, and how their texts become tokens. Internal to
// train/.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/loader.h"
#include "data/mixture.h"
#include "loss/loss.h"
#include "nn/text_model.h"
#include "train/recipe.h"

namespace akin::train {

// Adapter numbers of a source's texts, -1: none.
struct SourceTasks {
  int32_t query = -1, document = -1;
};
// Fills batch.texts.adapters, before embed_twice().
void choose_adapters(data::TrainBatch& batch, const SourceTasks& tasks);

// Pairs that the Fisher information is estimated on.
struct FisherSource {
  data::MixtureSource source;
  data::CollateOptions collate;
  SourceTasks tasks;
  double temperature = 0.05;
};

struct Sources {
  std::vector<data::MixtureSource> mixture;
  std::vector<data::CollateOptions> collate;
  std::vector<std::unique_ptr<loss::Loss>> losses;
  std::vector<std::string> loss_names;
  std::vector<SourceTasks> tasks;
  std::vector<FisherSource> fisher, old;  // of pairs that are trained on; of old sources
};

// Of the evaluation sets that the recipe names; null: none. Errors: none before it is asked.
std::unique_ptr<data::EvalGate> open_gate(const Recipe& recipe, const std::filesystem::path& data);

// The records of one source, in `folder`, but those that the gate leaves out. Errors: those of
// readers.
std::shared_ptr<const data::RecordStore> open_store(const SourceTable& source,
                                                    const std::filesystem::path& data,
                                                    const std::filesystem::path& folder,
                                                    data::EvalGate* gate,
                                                    const ProgressSink& progress);

// Whether the files of every source, and of the evaluation sets, are there; reads none. Errors:
// not_found, naming them.
void check_source_files(const Recipe& recipe, const std::filesystem::path& data);

// Records go to `folder`. Errors: those of readers; usage and bad_format, when a source's records
// lack what its loss needs, or nothing in a batch would be a negative.
Sources open_sources(const Recipe& recipe, const std::filesystem::path& data,
                     const std::filesystem::path& folder, const nn::TextModel& model,
                     const ProgressSink& progress);

}  // namespace akin::train
