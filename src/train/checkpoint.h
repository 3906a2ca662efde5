// The state of a run as one safetensors file: weights, moments, averages, and in its metadata where
// the data and the schedule were. Written to a temporary name and renamed, so there is always a
// whole one.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace akin::train {

struct Checkpoint {
  std::map<std::string, at::Tensor> tensors;  // f32, on the CPU when read
  nlohmann::json state;                       // of the session
};

void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);
// Errors: not_found; bad_format (damaged, or not a checkpoint).
Checkpoint read_checkpoint(const std::filesystem::path& path);

}  // namespace akin::train
