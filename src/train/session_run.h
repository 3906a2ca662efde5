// One training run: the loop and what it holds. Split over session.cc (opening, stepping,
// evaluating, the result) and session_checkpoint.cc (what is kept on the way, and going on from
// it). Internal to train/: others call run_session().
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/folder_lock.h"
#include "base/threads.h"
#include "data/loader.h"
#include "train/checkpoint.h"
#include "train/consolidate.h"
#include "train/distributed_run.h"
#include "train/meters.h"
#include "train/objectives/objective.h"
#include "train/objectives/texts.h"
#include "train/run_log.h"
#include "train/session.h"
#include "train/sources.h"
#include "train/step.h"

namespace akin::train {

class Session {
 public:
  // `group`: the processes that run it together; null: this one alone.
  Session(SessionOptions options, const SessionEvents& events, Group* group);
  SessionResult run();

 private:
  void run_or_throw();
  void open();
  bool take_up();
  void check_processes() const;
  std::optional<Checkpoint> find_checkpoint() const;
  void check_same_run(const nlohmann::json& state);
  void train();
  void keep_result();
  void open_stage();
  void one_step(data::Loader& loader);
  void finish_step(data::TrainBatch batch, const StepOutcome& outcome, double rate);
  std::vector<at::Tensor> averages() const;
  void evaluate();
  void take_scores(const DevScores& scores);
  void checkpoint();
  void stop_if_asked();
  void check_first_steps(const StepOutcome& outcome, const loss::Loss& loss);
  void warn_of_collapse(const StepReport& report);
  void save(const std::filesystem::path& folder);
  void report_sources();
  std::string kept_words() const;
  std::string teacher_fingerprint() const {
    const auto& encoder = options_.teacher.encoder;
    return encoder == nullptr ? "" : encoder->info().fingerprint;
  }
  std::filesystem::path checkpoint_path() const { return options_.out / "checkpoint.safetensors"; }
  std::filesystem::path best_path() const { return options_.out / "best"; }
  const PretrainStage* stage() const;
  bool begins_stage() const { return stage() != nullptr && step_ > 0 && stage()->begin == step_; }
  bool leads() const { return group_ == nullptr || group_->leads(); }
  // For what leaves files in `out`: one process after the other.
  void in_turn(const std::function<void()>& act) const {
    group_ == nullptr ? act() : group_->in_turn(act);
  }
  bool due(uint64_t every) const { return every > 0 && step_ % every == 0; }

  SessionOptions options_;
  const SessionEvents& events_;
  Group* const group_;
  Recipe& recipe_;
  std::shared_ptr<nn::TextModel> model_;
  std::unique_ptr<Objective> objective_;   // null: contrastive training
  std::vector<nn::Parameter> parameters_;  // the model's, then the objective's
  std::vector<PretrainStage> stages_;      // of pre-training
  const PretrainStage* opened_ = nullptr;  // the one that sources_ and mixture_ are of
  Sources sources_;
  ThreadPool pool_;
  nlohmann::json threads_;  // of all processes
  std::unique_ptr<data::Mixture> mixture_;
  std::unique_ptr<AdamW> optimizer_;
  std::unique_ptr<Ewc> ewc_;     // null: nothing is held
  std::unique_ptr<RunLog> log_;  // process 0's
  Meters meters_;
  CheckpointPace pace_;
  nlohmann::json mixture_state_;
  std::optional<FolderLock> lock_;        // of `out`, process 0's
  uint64_t step_ = 0;                     // steps that are done
  std::optional<uint64_t> kept_;          // step of the checkpoint on disk
  std::optional<uint64_t> evaluated_at_;  // step of the last evaluation
  uint64_t without_gain_ = 0;             // evaluations
  double easy_sum_ = 0;
  bool stopped_early_ = false, collapsed_ = false;
  SessionResult result_;
};

}  // namespace akin::train
