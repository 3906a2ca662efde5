// LoRA adapters of a model that learns (Hu et al., arXiv:2106.09685): pairs for new tasks, one task
// merged into the base weights, and writing tasks as PEFT folders. How they run is the stacks'
// business (cpu_stack_adapters.h, torch_stack.cc).
//
// Shapes: r rank, V vocabulary, D hidden.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "nn/model_parts.h"
#include "nn/named_tensors.h"

namespace akin::nn {

// Adds the tasks that the model does not have to parts.model.arch; returns their first pairs. A
// linear's B begins as zeros and its A is uniform in +-1 / sqrt(inputs), a table's A as zeros and
// its B normal, as PEFT begins them: so the model is the base model. Errors: usage (names, rank,
// targets; a scaling that differs from that of the adapters that are there); unsupported.
NamedTensors add_adapters(ModelParts& parts, const AdapterOptions& options);

// Is this tensor of adapter number `task`?
bool is_of_adapter(std::string_view name, size_t task);
// Are the model's adapters of this number rows of the checkpoint's own tensors?
bool is_in_checkpoint(const model::Model& model, size_t task);

// Base weights with scaling * B A of one task added, of those that it has pairs for. Errors:
// unsupported, where adapters lie in the checkpoint.
NamedTensors merged_weights(const ModelParts& parts, const NamedTensors& weights, size_t task);

// adapters/<task>/ for every task that is not in the checkpoint itself.
void write_adapters(const std::filesystem::path& folder, const ModelParts& parts,
                    const NamedTensors& weights, const AdapterOptions& options);

}  // namespace akin::nn
