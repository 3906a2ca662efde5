// The state of a run as one safetensors file: weights, moments, averages, and in its metadata where
// the data and the schedule were. Written to a temporary name and renamed, so there is always a
// whole one.
#pragma once

#include <ATen/ATen.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace akin::train {

struct Checkpoint {
  std::map<std::string, at::Tensor> tensors;  // f32, on the CPU when read
  nlohmann::json state;                       // of the session
};

void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);
// Errors: not_found; bad_format (damaged, or not a checkpoint).
Checkpoint read_checkpoint(const std::filesystem::path& path);

// When to write one on the way: after `every` steps (0 = never); where that is left out, after 500,
// or a multiple of 500 once the last one took more than a fiftieth of the time since.
class CheckpointPace {
 public:
  using Clock = std::chrono::steady_clock;
  explicit CheckpointPace(std::optional<uint64_t> every) : every_(every) {}
  bool due(uint64_t step, Clock::time_point now = Clock::now()) const;
  void wrote(Clock::time_point begin, Clock::time_point end = Clock::now());

 private:
  std::optional<uint64_t> every_;
  Clock::time_point earliest_ = Clock::time_point::min();
};

}  // namespace akin::train
