// What [ewc] does around a training run: holds the weights that earlier data needs, and leaves
// behind which ones this run's data needs. Internal to train/.
#pragma once

#include <filesystem>
#include <memory>

#include "base/progress.h"
#include "base/threads.h"
#include "train/ewc.h"
#include "train/movement.h"
#include "train/recipe.h"
#include "train/sources.h"

namespace akin::train {

// Before the first step: what is held, kept as ewc.safetensors in `out` so that a run that goes on
// holds the same. From [ewc] from and from old sources; null without either. Errors: usage (only
// one half of what is needed is given, or a run at `step` lacks its file).
std::unique_ptr<Ewc> hold_weights(const Recipe& recipe, const Sources& sources,
                                  nn::TextModel& model, const std::filesystem::path& out,
                                  uint64_t step, ThreadPool& pool, const ProgressSink& progress);

// Behind the last step: fisher.safetensors in `out`, of the finished model and what was held.
void leave_importance(const Recipe& recipe, const Sources& sources,
                      const std::filesystem::path& model, const std::filesystem::path& out,
                      const Ewc* held, const ProgressSink& progress);

// From the model that the recipe opens to the finished one; movement.json in `out`, too.
std::vector<MovementRow> report_movement(const Recipe& recipe, const std::filesystem::path& model,
                                         const std::filesystem::path& out, const Ewc* held);

}  // namespace akin::train
