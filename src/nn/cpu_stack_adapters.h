// LoRA adapters within the CPU training stack (Hu et al., arXiv:2106.09685): what they add to the
// rows of the texts that chose them, and their gradients. Never merged into the base weights, so
// texts of several adapters share a batch. Only for cpu_stack*.cc.
//
// Shapes: T tokens of a micro-batch, K inputs and N outputs of a linear, D hidden.
#pragma once

#include <span>
#include <string>

#include "nn/cpu_stack_parts.h"

namespace akin::nn {

// The adapter's weights on `name`, a linear or a table: this plus ".lora_a" or ".lora_b".
std::string adapter_name(size_t adapter, const std::string& name);

// Packs the pairs that are there. Errors: bad_format, for half a pair or one that does not fit.
void pack_adapters(const StackModel& model, Linear& linear);
void check_table_adapters(const StackModel& model);

// y [T, N] += adapters of x [T, K], dense rows.
void add_adapters(const StepContext& context, const Layer& layer, const Linear& linear,
                  MatView<const float> x, Scratch& scratch, MatView<float> y);
// dx [T, K] += what comes back from dy [T, N].
void add_adapters_back(const StepContext& context, const Layer& layer, const Linear& linear,
                       MatView<const float> dy, Scratch& scratch, MatView<float> dx);
void add_adapter_gradients(const StepContext& context, const Layer& layer, const Linear& linear,
                           const Sink& sink, MatView<const float> dy, MatView<const float> x,
                           Scratch& scratch);

// row [D] of a token, and of the type that every token has; adapter -1: nothing is added.
void add_table_adapters(const StackModel& model, int32_t adapter, int32_t id, std::span<float> row);
// From d, [T, D], gradients of the sums of table rows; all but the tokens' A.
void add_table_adapter_gradients(const StepContext& context, const Sink& sink,
                                 MatView<const float> d);
// The row of one token in the gradient of its adapter's A.
void add_token_adapter_row(const StackModel& model, const Sink& sink, int32_t adapter, size_t id,
                           std::span<const float> d_row);

}  // namespace akin::nn
