// Floats as the bytes of a weight file: f32, f16 or bf16, rounded to nearest even.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace akin::store {

// Errors: unsupported for any other dtype.
void append_floats(std::vector<std::byte>& out, std::span<const float> values, DType dtype);

}  // namespace akin::store
