// LoRA adapters that lie beside a model as PEFT folders, adapters/<task>/: their pairs under
// canonical names, and how the modules that PEFT names correspond to canonical weights. Writes
// nothing (nn/save_adapters.cc does) and merges nothing.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model/model.h"

namespace akin::model {

// A linear or an embedding of the checkpoint. A fused linear has several parts, in row order.
struct PeftModule {
  struct Part {
    std::string name;  // canonical, as in adapter.<t>.<name>.lora_a
    int64_t rows = 0;
  };
  int64_t out = 0, in = 0;  // of an embedding: D and V
  bool embedding = false;
  std::vector<Part> parts;
};

// Every module of `weights` that an adapter may ride on, by the name of its tensor less ".weight".
std::map<std::string, PeftModule> peft_modules(const Weights& weights);

// Takes the folder's adapters/<task>/ into model.arch and model.weights: pairs as f32, in the order
// of the tasks' names, behind adapters that the checkpoint itself has. Errors: those of
// store::read_peft_folder; bad_format (shapes, a task twice); unsupported (a module that is no
// linear or token table of this model).
class MappedWeights;
void read_peft_adapters(Model& model, MappedWeights& weights);

}  // namespace akin::model
