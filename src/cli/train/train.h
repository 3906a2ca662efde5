// akin train as akin-train does it.
#pragma once

#include "cli/train_options.h"

namespace akin::cli {

int run_training(const TrainOptions& options, Context& context);

}  // namespace akin::cli
