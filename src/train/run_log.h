// What a run leaves to be read: log.jsonl (a line a report), TensorBoard events beside it. A
// resumed run takes out of the log what lies behind its checkpoint. Internal to train/.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "train/session.h"
#include "train/tensorboard.h"

namespace akin::train {

class RunLog {
 public:
  // Keeps the lines of steps up to `resumed_at`, and of evaluations up to `evaluated_at`: one that
  // the checkpoint does not know is made again.
  RunLog(const std::filesystem::path& folder, uint64_t resumed_at,
         std::optional<uint64_t> evaluated_at);
  void add(const StepReport& report);
  void add(const ScoreReport& report);

 private:
  void line(const nlohmann::ordered_json& value);
  std::filesystem::path path_;
  std::ofstream file_;
  EventWriter events_;
};

}  // namespace akin::train
