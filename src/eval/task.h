// What an evaluation task type is: it reads its data, asks for vectors, and returns scores in
// mteb's words and order. A type has no header of its own: it is one .cc in tasks/ that exports
// make_<name>_task(), and one line in tasks.def.
#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mat.h"
#include "base/progress.h"
#include "base/threads.h"
#include "eval/task_spec.h"
#include "store/item_scores.h"

namespace akin::eval {

class CachedEncoder;
class TaskData;

// The scores of one subset of one split: an ordered JSON object of metrics (numbers, or lists such
// as scores_per_experiment), unrounded, without main_score.
struct Scores {
  nlohmann::ordered_json metrics = nlohmann::ordered_json::object();
  // What the main score is made of, for intervals and comparisons; split, subset and metric are
  // filled in by the runner. Absent where the main score has no items.
  std::optional<store::ItemScores> items;
};

struct Slice {
  std::string split;
  SubsetSpec subset;
};

// What a task may use. Borrowed; one task runs at a time.
struct TaskContext {
  const TaskSpec& spec;  // main_score is filled in
  const TaskData& data;
  CachedEncoder& encoder;
  ThreadPool& pool;
  std::span<const size_t> dims;  // lengths of vector to score, each at most encoder.dim()
  ProgressSink progress;
};

class Task {
 public:
  virtual ~Task() = default;
  virtual std::string_view default_main_score() const = 0;
  // One Scores for each of context.dims. Not const: some types carry a random stream from one slice
  // to the next. Errors: bad_format naming file, row and remedy; interrupted.
  virtual std::vector<Scores> evaluate(const Slice& slice, TaskContext& context) = 0;
};

// Errors: usage, naming the known types.
std::unique_ptr<Task> make_task(std::string_view type);
std::vector<std::string_view> task_types();
// Names of the TaskSpec settings that a type takes; others change nothing in it.
std::vector<std::string_view> settings_of(std::string_view type);

}  // namespace akin::eval
