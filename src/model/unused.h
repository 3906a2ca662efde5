// Tensors of a checkpoint that its model does not read: most often a config.json that is not the
// checkpoint's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/family.h"
#include "model/model.h"

namespace akin::model {

struct UnusedTensors {
  // Sorted; without those that never count for vectors: position ids, poolers, heads that predict
  // words, decoders.
  std::vector<std::string> names;
  size_t layers = 0;  // whole layers among them, above those that config.json counts
};

// Cost: names only, no values.
UnusedTensors find_unused(const TensorTable& tensors, const Weights& weights);

}  // namespace akin::model
