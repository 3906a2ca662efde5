// What a batch must have before a loss looks at it. Internal to loss/.
#pragma once

#include <string_view>

#include "loss/loss.h"

namespace akin::loss {

// The fields that `needs` names are there, and every field that is there has its shape.
// Errors: usage, naming the loss, the field, its shape and the shape expected.
void check_input(const LossInput& in, const LossNeeds& needs, std::string_view loss);

// M, or 0.
inline int64_t negatives_of(const LossInput& in) {
  return in.negatives.defined() ? in.negatives.size(1) : 0;
}

// float64 stays, everything narrower is computed in float32.
at::Tensor at_least_float(const at::Tensor& values);

}  // namespace akin::loss
