#include "train/open_model.h"

#include "base/error.h"
#include "core/pooling_words.h"
#include "nn/open_rotary.h"

namespace akin::train {
namespace {

namespace fs = std::filesystem;

nn::TextModelOptions model_options(const Recipe& recipe) {
  nn::TextModelOptions out;
  out.device = recipe.train.device;
  out.threads = recipe.train.threads;
  out.max_tokens = recipe.model.max_tokens;
  out.frozen = recipe.model.frozen;
  out.numbers.precision = recipe.model.precision == PrecisionChoice::bf16 ? nn::TrainPrecision::bf16
                                                                          : nn::TrainPrecision::f32;
  out.numbers.dropout = recipe.model.dropout;
  out.numbers.attention_dropout = recipe.model.attention_dropout;
  out.numbers.recompute = recipe.model.recompute;
  const AdaptersTable& adapters = recipe.adapters;
  out.adapters = {adapters.names,   adapters.rank,    adapters.alpha,   adapters.rslora,
                  adapters.dropout, adapters.targets, recipe.train.seed};
  return out;
}

nn::ScratchSpec scratch_spec(const Recipe& recipe) {
  const ModelTable& table = recipe.model;
  if (table.tokenizer.empty()) {
    throw_error(ErrorKind::usage, "model",
                "neither a model to open nor a tokenizer for a new one; set model.open or "
                "model.tokenizer");
  }
  nn::ScratchSpec spec;
  spec.family = table.family;
  spec.layers = table.layers;
  spec.hidden = table.hidden;
  spec.heads = table.heads;
  spec.ffn_hidden = table.ffn_hidden;
  spec.max_positions = table.max_positions;
  spec.tokenizer = table.tokenizer;
  if (!table.pooling.empty()) spec.pooling = pooling_from_words(table.pooling, "model.pooling");
  if (table.max_tokens > 0) spec.max_tokens = table.max_tokens;
  spec.init_std = table.init_std;
  spec.seed = recipe.train.seed;
  spec.embeddings_from = table.embeddings_from;
  return spec;
}

}  // namespace

std::shared_ptr<nn::TextModel> open_model(const Recipe& recipe, const fs::path& work) {
  const ModelTable& table = recipe.model;
  const nn::TextModelOptions options = model_options(recipe);
  const nn::RotaryOptions rotary{table.max_tokens, table.rotary_base};
  if (!table.open.empty()) {
    model::LoadOptions load;
    if (!table.pooling.empty()) load.pooling = pooling_from_words(table.pooling, "model.pooling");
    if (table.position.empty()) return nn::TextModel::open(table.open, options, load);
    return nn::open_rotary(table.open, work, rotary, options, load);
  }
  const nn::ScratchSpec spec = scratch_spec(recipe);
  if (table.position.empty()) return nn::TextModel::from_scratch(spec, options);
  return nn::make_rotary(spec, work, rotary, options);
}

void save_merged(const Recipe& recipe, const std::filesystem::path& model,
                 const std::filesystem::path& out, nn::SaveOptions options) {
  nn::TextModelOptions open;
  open.threads = recipe.train.threads;
  const auto finished = nn::TextModel::open(model, open);
  std::filesystem::create_directories(out / "merged");
  for (const std::string& task : recipe.adapters.names) {
    options.merged_task = task;
    finished->save(out / "merged" / task, options);
  }
}

WeightSwap::WeightSwap(nn::TextModel& model, const std::vector<at::Tensor>& values)
    : model_(model) {
  if (values.empty()) return;
  for (size_t i = 0; i < values.size(); ++i) {
    at::Tensor own = model.parameters()[i].value.detach();
    kept_.push_back(own.clone());
    own.copy_(values[i]);
  }
  model.parameters_changed();
}

WeightSwap::~WeightSwap() {
  for (size_t i = 0; i < kept_.size(); ++i) {
    model_.parameters()[i].value.detach().copy_(kept_[i]);
  }
  if (!kept_.empty()) model_.parameters_changed();
}

}  // namespace akin::train
