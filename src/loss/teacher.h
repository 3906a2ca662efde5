// Students' vectors against a teacher's. Internal to loss/.
#pragma once

#include <string_view>

#include "loss/loss.h"

namespace akin::loss {

using VectorDistance = at::Tensor (*)(const at::Tensor& student, const at::Tensor& teacher);

// The mean of distance(queries, theirs) and, where both are there, distance(documents, theirs).
// Errors: usage, for a teacher of another width.
at::Tensor mean_over_sides(const LossInput& in, std::string_view loss, VectorDistance distance);

}  // namespace akin::loss
