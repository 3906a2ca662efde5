// One training run from recipe to model folder: sources opened, batches drawn, steps taken, dev
// scores asked for, checkpoints written, and the same result whether it was stopped on the way or
// not. Evaluation comes in as a callback; nothing is printed.
//
// Files below `out`: model/ (the result: a sentence-transformers folder), checkpoint.safetensors,
// log.jsonl, events.out.tfevents.*, data/ (the sources' records), best/ (what becomes model/, while
// it runs), train.lock (held while it runs).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "core/encoder.h"
#include "train/distributed_launch.h"
#include "train/movement.h"
#include "train/recipe.h"
#include "train/teacher.h"

namespace akin::train {

struct SessionOptions {
  Recipe recipe;
  std::filesystem::path out;
  std::filesystem::path data;  // what relative paths of sources begin at
  bool resume = false;
  bool change_rate = false;  // resume with another learning rate or clip
  TeacherModel teacher;      // of the recipe's [teacher]
  Launch launch;             // of several processes, only process 0 writes and raises events
};

// Since the last report: means over `batches` steps.
struct StepReport {
  uint64_t step = 0, steps = 0, batches = 0;  // step: how many are done
  double loss = 0, learning_rate = 0, gradient_norm = 0;
  double penalty = 0;  // of [ewc], within the loss
  double pairs_per_second = 0, tokens_per_second = 0, seconds_left = 0;
  double negatives_per_query = 0;
  double solved = -1;                  // share of rows; -1: no ranking loss
  std::optional<double> query_cosine;  // of two queries of a batch; near 1: the model has collapsed
  double waited = 0;                   // share of the time that the step waited for data
  uint64_t cut_texts = 0;
  std::map<std::string, double> source_loss;  // mean over the batches of each source
  std::map<std::string, double> parts;        // of a pre-training loss: encoder, decoder, bag
};

struct DevScores {
  std::map<std::string, double> tasks;  // main scores, 0..1
  std::optional<double> main, general;  // means over [evaluate] tasks and general
};
struct ScoreReport {
  uint64_t step = 0;
  DevScores scores;
  bool best = false;
};

struct SourceReport {
  std::string name;
  uint64_t records = 0;
  data::RecordStore::RowCounts rows;  // that are no records
  double probability = 0, epochs = 0;
  std::string loss;
};

struct SessionResult {
  std::filesystem::path model;
  uint64_t steps = 0, resumed_at = 0;
  bool stopped_early = false, was_done = false;
  uint64_t best_step = 0;
  std::optional<double> best;
  DevScores before, after;
  std::vector<SourceReport> sources;
  std::vector<MovementRow> movement;  // of the weights, where a model was opened
  double seconds = 0;
};

struct SessionEvents {
  std::function<void(const StepReport&)> on_step;
  std::function<void(const ScoreReport&)> on_scores;
  std::function<void(const std::string&)> warn;  // one line of words
  std::function<DevScores(Encoder&)> evaluate;   // empty: no evaluation
  ProgressSink progress;                         // of reading sources
  // Once, with the whole result, before its folder gets its name: what else belongs into it.
  std::function<void(const SessionResult&, const std::filesystem::path& folder)> finish;
};

// Errors: those of recipes, sources and models; usage (a run without negatives, a checkpoint of
// another recipe, an `out` that holds another run or that a process is at work in); bad_format (a
// loss without the fields it needs); internal numbers that are not finite: usage, naming the rows;
// interrupted (a checkpoint is written first).
SessionResult run_session(SessionOptions options, const SessionEvents& events);

}  // namespace akin::train
