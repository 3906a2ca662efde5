// Students' vectors against a teacher's. Internal to loss/.
#pragma once

#include <string_view>

#include "loss/loss.h"

namespace akin::loss {

using VectorDistance = at::Tensor (*)(const at::Tensor& student, const at::Tensor& teacher);

// The mean of distance(queries, theirs) and, where both are there, distance(documents, theirs),
// over as many dims as the teacher has. Errors: usage, for a teacher that has more than the
// student.
at::Tensor mean_over_sides(const LossInput& in, std::string_view loss, VectorDistance distance);

}  // namespace akin::loss
