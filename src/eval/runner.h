// Runs evaluation tasks over models and lengths of vector, and keeps their results as files that
// mteb's tools read. What is on file already is not computed again. Prints nothing.
//
// Files: <out>/results/<model>/<revision>/<Task>.json, model_meta.json, items/<Task>.jsonl; other
// precisions and dims under experiments/<name>/. A task's files appear only when it is complete, so
// a killed run loses the task it was in, and a resumed one writes the same bytes but for times and
// dates, and removes what the killed one left half-written. A result is taken up when nothing that
// it depends on has changed: the model, the task's settings, the bytes of the dataset's files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/threads.h"
#include "eval/bootstrap.h"
#include "eval/cached_encoder.h"
#include "eval/task.h"
#include "eval/task_spec.h"
#include "store/mteb_result.h"

namespace akin::eval {

// One precision of the model under test.
struct RunModel {
  CachedEncoder* encoder = nullptr;
  std::string dtype = "f32";
};

struct RunOptions {
  std::filesystem::path data, out;
  std::string model_name;                      // "org/name"
  std::string revision;                        // of the model; empty: its fingerprint
  std::vector<std::string> training_datasets;  // as its card names them; empty: not known
  std::vector<size_t> dims;                    // lengths of vector; empty: the full one
  std::vector<TaskSpec> declared;  // tasks that a mean may name besides those of the run
  bool resume = true;
};

// One task under one precision and length.
struct TaskRun {
  std::string task, type, main_score;
  std::string experiment;  // "" is the model as it is
  std::string dtype;
  size_t dims = 0;
  std::filesystem::path path;
  std::optional<double> score;       // mean over splits and subsets
  std::optional<Interval> interval;  // where every split and subset keeps its items
  bool resumed = false;
  double seconds = 0;  // of the task, all dims together; 0 when resumed
  std::string error;   // the message, when there is no score
};

struct RunEvents {
  // `number` of `count` tasks begins.
  std::function<void(const TaskSpec& spec, size_t number, size_t count)> on_task;
  std::function<void(const TaskRun& run)> on_result;
  ProgressSink progress;
};

// Errors of one task (bad data, no data) end up in its TaskRun, and the next one runs; usage errors
// of options, internal errors and interruptions are thrown.
class Runner {
 public:
  Runner(std::vector<RunModel> models, RunOptions options, ThreadPool& pool);
  std::vector<TaskRun> run(std::span<const TaskSpec> tasks, const RunEvents& events);

  // The folder of an experiment, "" for the model as it is.
  std::filesystem::path folder(const std::string& experiment) const;
  CachedEncoder::Counts counts() const { return counts_; }  // of all tasks so far

 private:
  struct Variant;
  std::vector<Variant> run_task(const TaskSpec& spec, const RunModel& model,
                                const RunEvents& events);
  void evaluate(const TaskSpec& spec, const RunModel& model, std::span<Variant* const> missing,
                const RunEvents& events);
  void average_subtasks(const TaskSpec& spec, const RunModel& model,
                        std::span<Variant* const> missing, const RunEvents& events);
  std::vector<Variant> variants(const RunModel& model) const;  // nothing loaded
  TaskSpec subtask(const TaskSpec& spec, const std::string& name) const;
  bool load(const TaskSpec& spec, const RunModel& model, Variant& variant);
  bool same_data(const TaskSpec& spec, const nlohmann::ordered_json& on_file);
  void save(const TaskSpec& spec, const RunModel& model, Variant& variant) const;
  nlohmann::ordered_json facts(const TaskSpec& spec, const RunModel& model, size_t dims) const;
  void write_meta(const RunModel& model, const Variant& variant) const;
  static TaskRun describe(const TaskSpec& spec, const RunModel& model, const Variant& variant);

  std::vector<RunModel> models_;
  RunOptions options_;
  std::vector<TaskSpec> tasks_;  // of this run, with main scores
  // By task: what results on file say of their data, where this run has found it so.
  std::map<std::string, nlohmann::ordered_json> held_;
  ThreadPool& pool_;
  CachedEncoder::Counts counts_;
};

}  // namespace akin::eval
