// The sources of a pre-training run: texts alone, packed to the length of a stage. Contrastive
// training has train/sources.h. Internal to train/.
#pragma once

#include <filesystem>

#include "base/progress.h"
#include "train/pretrain_table.h"
#include "train/sources.h"

namespace akin::train {

// Every source is read as texts alone; batches of different sources, and so of different languages,
// are not mixed. Records go to `folder`. Errors: those of readers; usage.
Sources open_texts(const Recipe& recipe, const PretrainStage& stage,
                   const std::filesystem::path& data, const std::filesystem::path& folder,
                   const nn::TextModel& model, const ProgressSink& progress);

}  // namespace akin::train
