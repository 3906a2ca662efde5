// The learning rate at each step: a linear warm-up, then a fall to 0 or none.
#pragma once

#include <cstdint>

#include "train/recipe.h"

namespace akin::train {

// Step `step` of `steps`, counted from 0. In the warm-up, (step + 1) / warm-up steps of the peak,
// so that no step is lost to a rate of 0; afterwards by the share of the steps that remain.
double learning_rate(const TrainTable& train, uint64_t step);

}  // namespace akin::train
