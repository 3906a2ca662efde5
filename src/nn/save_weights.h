// Canonical weights back under their checkpoint's names. Internal to save.cc and its tests.
#pragma once

#include <filesystem>

#include "core/tensor.h"
#include "nn/model_parts.h"
#include "nn/named_tensors.h"

namespace akin::nn {

// model.safetensors of the body: every checkpoint tensor that `values` has parts of is put together
// anew, in `dtype`; others are copied as they are, save second copies of a tensor that was replaced
// (tied weights, which tools tie again).
void write_body_weights(const std::filesystem::path& path, const ModelParts& parts,
                        const NamedTensors& values, DType dtype);
// A Dense module's file: dense.<index>.*.
void write_dense_weights(const std::filesystem::path& path, size_t index,
                         const NamedTensors& values, DType dtype);

}  // namespace akin::nn
