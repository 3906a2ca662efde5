// What a pre-training step asks of a model: a batch of texts in, one loss out. An objective has
// weights of its own (heads, a decoder), which are trained with the model and are no part of its
// folder. Contrastive training has losses instead (loss/loss.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/threads.h"
#include "core/token_batch.h"
#include "nn/text_model.h"
#include "train/recipe.h"

namespace akin::train {

struct ObjectiveValue {
  at::Tensor loss;                      // []
  std::map<std::string, double> parts;  // of the loss, for the log
};

class Objective {
 public:
  virtual ~Objective() = default;
  virtual std::vector<nn::Parameter> parameters() const = 0;  // its own; the tensors are shared
  // `seed`: of masks and dropout of this step.
  virtual ObjectiveValue forward(const TokenBatch& texts, uint64_t seed) const = 0;
};

// For recipe.pretrain; null without an objective. Model and pool outlive it. Errors: unsupported (a
// static model, a vocabulary without a mask token).
std::unique_ptr<Objective> make_objective(const Recipe& recipe, nn::TextModel& model,
                                          ThreadPool& pool);

// The objective's weights as a safetensors file, which a later run that opens the model beside it
// goes on from.
void save_heads(const std::filesystem::path& path, const std::vector<nn::Parameter>& heads);

}  // namespace akin::train
