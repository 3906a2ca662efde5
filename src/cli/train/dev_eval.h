// The scores that a training run asks for: tasks of a file, over whatever encoder it has at the
// moment. Keeps no result files (akin eval does that).
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/threads.h"
#include "eval/task_spec.h"
#include "train/session.h"

namespace akin::cli {

class DevEval {
 public:
  // Errors: those of the task file; not_found, naming a task that it lacks, or data that is not
  // there: before anything is trained.
  DevEval(const train::EvaluateTable& table, const std::filesystem::path& data, size_t threads);
  // Errors: those of the datasets; interrupted.
  train::DevScores operator()(Encoder& encoder);
  void set_progress(ProgressSink progress) { progress_ = std::move(progress); }
  bool empty() const { return main_.empty() && general_.empty(); }

 private:
  double score(const eval::TaskSpec& spec, Encoder& encoder);
  std::vector<eval::TaskSpec> main_, general_;
  std::filesystem::path data_;
  ThreadPool pool_;
  ProgressSink progress_;
};

}  // namespace akin::cli
