// Builds a StackModel from an ArchSpec, and keeps its weights packed. Only for cpu_stack*.cc.
#pragma once

#include "base/threads.h"
#include "nn/cpu_stack_parts.h"

namespace akin::nn {

// Errors: unsupported, naming what.
StackModel make_stack_model(const ArchSpec& arch, const StackOptions& options);
// Errors: not_found, bad_format for weights that do not fit the spec.
void take_weights(StackModel& model, const StackTensors& weights, ThreadPool& pool);
// Position tables for texts of up to `length` tokens.
void grow_tables(StackModel& model, size_t length);

}  // namespace akin::nn
