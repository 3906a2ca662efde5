// The model of a recipe, opened or made, and other weights put in its place for a while. Internal
// to train/.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "nn/text_model.h"
#include "train/recipe.h"

namespace akin::train {

// Errors: those of nn::TextModel; usage (neither a model to open nor a tokenizer for a new one).
// `work`: a folder for what a model with other positions starts from; empty: it has none.
std::shared_ptr<nn::TextModel> open_model(const Recipe& recipe,
                                          const std::filesystem::path& work = {});

// merged/<task>/ below `out` for every task of [adapters], from the finished model.
void save_merged(const Recipe& recipe, const std::filesystem::path& model,
                 const std::filesystem::path& out, nn::SaveOptions options);

// Other values in the parameters for as long as this lives; none: nothing is done.
class WeightSwap {
 public:
  WeightSwap(nn::TextModel& model, const std::vector<at::Tensor>& values);
  ~WeightSwap();
  WeightSwap(const WeightSwap&) = delete;
  WeightSwap& operator=(const WeightSwap&) = delete;

 private:
  nn::TextModel& model_;
  std::vector<at::Tensor> kept_;
};

}  // namespace akin::train
