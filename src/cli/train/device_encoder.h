// --device of the verbs that embed, as akin-train does it.
#pragma once

#include "cli/load.h"

namespace akin::cli {

// An encoder on libtorch's operations: "cuda", "cuda:1", or "torch", which is those operations on
// the CPU. Errors: usage (a precision that is the engine's own); device (no such device); those of
// TextModel::open.
std::unique_ptr<Encoder> make_device_encoder(const ModelOptions& options);

}  // namespace akin::cli
