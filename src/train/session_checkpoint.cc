// What is kept of a run on the way, and how it goes on from there.
#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "train/run_record.h"
#include "train/session_run.h"

namespace akin::train {

namespace fs = std::filesystem;
using nlohmann::json;

// Whether a checkpoint is of this recipe, model and number of threads. Errors: usage.
void Session::check_same_run(const json& state) {
  // Threads count as they come out, below: train.threads may be 0 here and a number there.
  const auto without_threads = [](json recipe) {
    recipe["train"].erase("threads");
    return recipe;
  };
  const json before = without_threads(state.at("recipe")), now = without_threads(decisive(recipe_));
  const std::string other = differences(before, now);
  const bool only_rate = differences(without_rate(before), without_rate(now)).empty();
  if (!other.empty() && !(only_rate && options_.change_rate)) {
    throw_error(ErrorKind::usage, options_.out.string(),
                "its checkpoint is of a recipe that differs in {}; use the same recipe, or give "
                "another --out{}",
                other, only_rate ? ", or --change-rate to go on with the new values" : "");
  }
  if (!other.empty() && leads() && events_.warn) {
    events_.warn(fmt::format("{} {} from step {} on: no recipe alone gives this model again", other,
                             other.find(',') != std::string::npos ? "change" : "changes",
                             state.at("step").get<uint64_t>()));
  }
  if (state.at("threads") != threads_) {
    throw_error(ErrorKind::usage, options_.out.string(),
                "its checkpoint was made with {} threads, this run has {}, and sums would differ; "
                "start as many processes, and set train.threads",
                thread_words(state.at("threads")), thread_words(threads_));
  }
  if (state.at("start").get<std::string>() != model_->description().fingerprint) {
    throw_error(ErrorKind::usage, options_.out.string(),
                "its checkpoint began from another model than {} is now; give another --out",
                recipe_.model.open.empty() ? "a new one" : quote(recipe_.model.open));
  }
  if (state.value("teacher", "") != teacher_fingerprint()) {
    throw_error(ErrorKind::usage, options_.out.string(),
                "its checkpoint was taught by another model than {} is now; give another --out",
                quote(recipe_.teacher.model));
  }
}

// The one of `out`, the same for every process. "complete": nothing is left to do.
std::optional<Checkpoint> Session::find_checkpoint() const {
  std::optional<Checkpoint> out;
  std::error_code ignored;
  if (leads() && fs::exists(checkpoint_path(), ignored)) {
    if (!options_.resume) {
      throw_error(ErrorKind::usage, options_.out.string(),
                  "holds a run already; go on with it with --resume, or give another --out");
    }
    out = read_checkpoint(checkpoint_path());
    out->state["complete"] =
        out->state.at("done").get<bool>() && fs::exists(result_.model, ignored);
  } else if (leads() && fs::exists(result_.model, ignored)) {
    throw_error(ErrorKind::usage, options_.out.string(),
                "holds a model, but no checkpoint to go on from; give another --out, or remove the "
                "model");
  } else if (leads() && options_.resume && events_.warn) {
    events_.warn(fmt::format("{} holds no checkpoint to go on from: a new run starts",
                             options_.out.string()));
  }
  if (group_ != nullptr) share_checkpoint(*group_, out);
  return out;
}

// Continues from a checkpoint when there is one; false when there is nothing left to do.
bool Session::take_up() {
  if (const auto saved = find_checkpoint()) {
    const json& state = saved->state;
    check_same_run(state);
    for (auto& parameter : parameters_) {
      if (!parameter.trained) continue;  // as the run began
      const auto it = saved->tensors.find("weight." + parameter.name);
      if (it == saved->tensors.end() || it->second.sizes() != parameter.value.sizes()) {
        throw_error(ErrorKind::bad_format, checkpoint_path().string(),
                    "has no weight {} of the model's shape; start again without --resume",
                    parameter.name);
      }
      parameter.value.detach().copy_(it->second);
    }
    model_->parameters_changed();
    step_ = state.at("step").get<uint64_t>();
    open_stage();
    optimizer_->restore(saved->tensors, step_);
    mixture_state_ = state.at("mixture");
    if (!mixture_state_.is_null() && !begins_stage()) mixture_->restore(mixture_state_);
    if (!state.at("evaluated_at").is_null()) evaluated_at_ = state["evaluated_at"].get<uint64_t>();
    if (!state.at("best").is_null()) result_.best = state["best"].get<double>();
    result_.best_step = state.at("best_step").get<uint64_t>();
    if (!state.at("general_before").is_null()) {
      result_.before.general = state["general_before"].get<double>();
    }
    if (!state.at("main_before").is_null())
      result_.before.main = state["main_before"].get<double>();
    result_.before.tasks = state.at("before").get<std::map<std::string, double>>();
    without_gain_ = state.at("without_gain").get<uint64_t>();
    easy_sum_ = state.at("easy_sum").get<double>();
    result_.resumed_at = step_;
    kept_ = step_;
    if (state.at("complete").get<bool>()) return false;
  }
  if (leads()) log_ = std::make_unique<RunLog>(options_.out, step_, evaluated_at_);
  return true;
}

void Session::checkpoint() {
  kept_ = step_;
  if (!leads()) return;
  const auto start = std::chrono::steady_clock::now();
  Checkpoint out;
  out.tensors = optimizer_->state();
  for (const auto& parameter : parameters_) {
    if (!parameter.trained) continue;
    out.tensors.emplace("weight." + parameter.name, parameter.value.detach());
  }
  const auto number = [](const auto& value) { return value ? json(*value) : json(nullptr); };
  out.state = {{"step", step_},
               {"recipe", decisive(recipe_)},
               {"start", model_->description().fingerprint},
               {"teacher", teacher_fingerprint()},
               {"threads", threads_},
               {"mixture", mixture_state_},
               {"evaluated_at", number(evaluated_at_)},
               {"best", number(result_.best)},
               {"best_step", result_.best_step},
               {"general_before", number(result_.before.general)},
               {"main_before", number(result_.before.main)},
               {"before", result_.before.tasks},
               {"without_gain", without_gain_},
               {"easy_sum", easy_sum_},
               {"done", stopped_early_ || step_ == recipe_.train.steps}};
  write_checkpoint(checkpoint_path(), out);
  pace_.wrote(start);
}

// What stays where a step cannot be taken, and what to do with it.
std::string Session::kept_words() const {
  std::string out = kept_ ? fmt::format(
                                "The checkpoint of step {} stays; --resume alone comes to the "
                                "same step again, --resume --change-rate goes on from it with a "
                                "lower train.learning_rate or train.clip",
                                *kept_)
                          : "No checkpoint was written yet";
  std::error_code ignored;
  if (result_.best && recipe_.evaluate.keep_best && fs::exists(best_path(), ignored)) {
    out += fmt::format("; the best model so far, of step {}, is {}", result_.best_step,
                       best_path().string());
  }
  return out + "; or start anew with another --out.";
}

}  // namespace akin::train
