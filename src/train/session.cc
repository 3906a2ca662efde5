#include "train/session.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/hash.h"
#include "base/leftovers.h"
#include "train/open_model.h"
#include "train/saving.h"
#include "train/schedule.h"
#include "train/session_run.h"

namespace akin::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kAhead = 4;                // batches that workers prepare ahead of the step
constexpr size_t kEvaluationTokens = 4096;  // of a micro-batch while evaluating
constexpr uint64_t kEasySteps = 10;         // first steps over which "too easy" is judged
constexpr double kEasyShare = 0.9;
constexpr double kCollapsedCosine = 0.99;  // new models begin near 1, so only after the warm-up

}  // namespace

Session::Session(SessionOptions options, const SessionEvents& events, Group* group)
    : options_(std::move(options)),
      events_(events),
      group_(group),
      recipe_(options_.recipe),
      pool_(thread_count(recipe_, group)),
      threads_(all_threads(pool_.size(), group)),
      pace_(recipe_.train.checkpoint_every) {
  result_.model = options_.out / "model";
}

SessionResult Session::run() {
  try {
    run_or_throw();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::interrupted || !kept_) throw;
    throw Error(
        ErrorKind::interrupted,
        fmt::format("interrupted; the checkpoint of step {} is kept in {}: the same command "
                    "with --resume goes on from it",
                    *kept_, options_.out.string()));
  }
  return result_;
}

void Session::run_or_throw() {
  const auto start = std::chrono::steady_clock::now();
  open();
  result_.was_done = !take_up();
  if (!result_.was_done) {
    in_turn([&] {
      ewc_ = hold_weights(recipe_, sources_, *model_, options_.out, step_, pool_, events_.progress);
    });
    try {
      train();
    } catch (const Error&) {  // a process that has gone takes no step with it
      if (group_ != nullptr && group_->lost()) checkpoint();
      throw;
    }
  }
  report_sources();
  result_.steps = step_;
  result_.stopped_early = stopped_early_;
  result_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!result_.was_done && leads()) keep_result();
}

// The folder, the model, the sources, the optimizer.
void Session::open() {
  std::error_code ignored;
  fs::create_directories(options_.out / "data", ignored);
  if (leads()) {
    lock_.emplace(options_.out, "train.lock",
                  "is training here; wait until it is done, or give another --out");
    for (const fs::path& path : {result_.model, best_path(), checkpoint_path()})
      remove_leftovers(path);
  }
  at::set_num_threads(static_cast<int>(pool_.size()));
  const auto open = [&] { model_ = open_model(on_own_device(recipe_, group_), options_.out); };
  recipe_.model.position.empty() ? open() : in_turn(open);
  check_saving(recipe_, model_->description(), options_.out);
  parameters_ = model_->parameters();
  objective_ = make_objective(recipe_, *model_, pool_);
  if (objective_) {
    for (auto& own : objective_->parameters()) parameters_.push_back(std::move(own));
    stages_ =
        pretrain_stages(recipe_.pretrain, model_->description().max_tokens, recipe_.train.batch);
  }
  open_stage();
  check_processes();
  const TrainTable& train = recipe_.train;
  optimizer_ = std::make_unique<AdamW>(parameters_,
                                       AdamWOptions{train.beta1, train.beta2, train.epsilon,
                                                    train.weight_decay, train.clip, train.ema},
                                       pool_);
}

void Session::report_sources() {
  const auto probabilities = mixture_->probabilities();
  for (size_t i = 0; i < sources_.mixture.size(); ++i) {
    const auto& source = sources_.mixture[i];
    result_.sources.push_back({source.name, source.store->size(), source.store->row_counts(),
                               probabilities[i], mixture_->epochs(i), sources_.loss_names[i]});
  }
}

// The stage of pre-training that the next step is in; null: there are none.
const PretrainStage* Session::stage() const {
  const PretrainStage* out = nullptr;
  for (const auto& stage : stages_) {
    if (stage.begin <= step_) out = &stage;
  }
  return out;
}

// Sources and mixture, for the texts of the stage where there are stages.
void Session::open_stage() {
  const fs::path folder = options_.out / "data";
  const auto* const stage = this->stage();
  if (mixture_ != nullptr && stage == opened_) return;
  opened_ = stage;
  mixture_.reset();
  in_turn([&] {
    sources_ = stage == nullptr
                   ? open_sources(recipe_, options_.data, folder, *model_, events_.progress)
                   : open_texts(recipe_, *stage, options_.data, folder, *model_, events_.progress);
  });
  const uint64_t begin = stage == nullptr ? 0 : stage->begin;
  mixture_ = std::make_unique<data::Mixture>(
      sources_.mixture,
      data::MixtureOptions{recipe_.mixture.alpha, recipe_.mixture.cap, recipe_.train.seed + begin});
}

// Whether every process has the same model and records, and work to do. Errors: usage.
void Session::check_processes() const {
  if (group_ == nullptr) return;
  json facts = {{"model", model_->description().fingerprint}};
  for (const auto& source : sources_.mixture) {
    if (source.batch < group_->size()) {
      throw_error(ErrorKind::usage, source.name,
                  "a batch of {} rows cannot be divided among {} processes; raise batch, or start "
                  "fewer processes",
                  source.batch, group_->size());
    }
    facts["records"][source.name] = source.store->fingerprint();
  }
  check_same(*group_, facts);
}

// SIGINT or SIGTERM, in any of the processes: what has been done is kept.
void Session::stop_if_asked() {
  const bool asked = group_ == nullptr ? interrupt_flag().load() : group_->any(interrupt_flag());
  if (!asked) return;
  interrupt_flag() = true;
  checkpoint();
  check_interrupted();
}

void Session::train() {
  const uint64_t steps = recipe_.train.steps;
  std::optional<data::Loader> loader;
  const auto load = [&] {
    loader.emplace(*mixture_, *model_->description().tokenizer, sources_.collate,
                   recipe_.train.workers, kAhead);
    meters_.start(loader->waited_seconds());
  };
  load();
  while (true) {
    const bool last = step_ == steps;
    const bool at_edge = step_ == 0 || last;
    if (evaluated_at_ != step_ && (at_edge || due(recipe_.evaluate.every))) {
      evaluate();
      meters_.start(loader->waited_seconds());
    }
    if (last || stopped_early_) break;
    stop_if_asked();
    one_step(*loader);
    if (due(recipe_.train.log_every) || step_ == steps) {
      const StepReport report =
          meters_.report(step_, recipe_.train, loader->waited_seconds(), sources_.mixture);
      if (log_) log_->add(report);
      if (events_.on_step) events_.on_step(report);
      warn_of_collapse(report);
    }
    if (step_ < steps && pace_.due(step_)) checkpoint();
    if (begins_stage()) {
      loader.reset();
      open_stage();
      load();
    }
  }
}

// The last checkpoint comes first and the folder's name last: whatever ends the process between
// them, --resume comes back here with the same weights.
void Session::keep_result() {
  checkpoint();
  std::error_code ignored;
  const bool seeks_best = recipe_.evaluate.keep_best && result_.best;
  const bool has_best = seeks_best && fs::exists(best_path(), ignored);
  if (seeks_best && !has_best && result_.best_step != step_ && events_.warn) {
    events_.warn(
        fmt::format("{} is gone, which held the best weights, of step {}; the result is "
                    "the last ones",
                    best_path().string(), result_.best_step));
  }
  if (!has_best) save(best_path());
  leave_importance(recipe_, sources_, best_path(), options_.out, ewc_.get(), events_.progress);
  result_.movement = report_movement(recipe_, best_path(), options_.out, ewc_.get());
  if (objective_) save_heads(options_.out / "heads.safetensors", objective_->parameters());
  if (recipe_.adapters.merged)
    save_merged(recipe_, best_path(), options_.out, save_options(recipe_));
  if (events_.finish) events_.finish(result_, best_path());
  fs::remove_all(result_.model, ignored);
  fs::rename(best_path(), result_.model);
}

void Session::one_step(data::Loader& loader) {
  data::TrainBatch batch = loader.next();
  StepOptions options;
  options.dropout_seed = hash64(fmt::format("dropout {}", step_), recipe_.train.seed) | 1;
  options.learning_rate = learning_rate(recipe_.train, step_);
  options.grad_cache = recipe_.train.grad_cache;
  options.group = group_;
  options.kept = [this] { return kept_words(); };
  if (recipe_.ewc.lambda > 0) options.ewc = ewc_.get();
  if (objective_) {
    const StepOutcome outcome = take_step(*model_, batch, *objective_, *optimizer_, options);
    return finish_step(std::move(batch), outcome, options.learning_rate);
  }
  const loss::Loss& loss = *sources_.losses[batch.source];
  choose_adapters(batch, sources_.tasks[batch.source]);
  if (options_.teacher.encoder != nullptr) {
    options.teacher = ask_teacher(options_.teacher, batch, loss.needs(), model_->device());
  }
  if (!batch.has_documents && loss.needs().documents) embed_twice(batch);
  const StepOutcome outcome = take_step(*model_, batch, loss, *optimizer_, options);
  if (step_ < kEasySteps) check_first_steps(outcome, loss);
  finish_step(std::move(batch), outcome, options.learning_rate);
}

void Session::finish_step(data::TrainBatch batch, const StepOutcome& outcome, double rate) {
  meters_.add(batch, outcome, rate);
  mixture_state_ = std::move(batch.state_after);
  ++step_;
}

void Session::check_first_steps(const StepOutcome& outcome, const loss::Loss& loss) {
  const auto needs = loss.needs();
  if (!needs.labels && !needs.teacher && outcome.negatives_per_query == 0) {
    throw_error(ErrorKind::usage, fmt::format("step {}", step_ + 1),
                "no query of the batch has a negative, so there is nothing to learn; raise the "
                "batch, set negatives, or choose another loss");
  }
  easy_sum_ += std::max(0.0, outcome.solved);
  if (step_ + 1 != kEasySteps || !events_.warn) return;
  const double share = easy_sum_ / static_cast<double>(kEasySteps);
  if (share >= kEasyShare) {
    events_.warn(fmt::format(
        "your negatives are too easy: in the first {} steps {:.0f} % of the queries were nearest "
        "to their positive already; use larger batches, or harder negatives: akin mine finds them",
        kEasySteps, 100 * share));
  }
}

void Session::warn_of_collapse(const StepReport& report) {
  const TrainTable& train = recipe_.train;
  const bool warm =
      static_cast<double>(report.step) > train.warmup * static_cast<double>(train.steps);
  const bool collapsed = warm && report.query_cosine && *report.query_cosine > kCollapsedCosine;
  if (collapsed && !collapsed_ && events_.warn) {
    events_.warn(fmt::format(
        "step {}: two queries of a batch have a cosine of {:.4f} on average: every text gets "
        "nearly the same vector, and a model that has collapsed seldom recovers; start again "
        "with a lower learning rate than {:.2g} or a longer warm-up",
        report.step, *report.query_cosine, train.learning_rate));
  }
  collapsed_ = collapsed;
}

void Session::evaluate() {
  if (group_ == nullptr && !events_.evaluate) return;
  std::optional<DevScores> scores;
  if (events_.evaluate) {
    const WeightSwap averages(*model_, this->averages());
    const auto encoder = nn::make_torch_encoder(model_, kEvaluationTokens);
    try {
      scores = events_.evaluate(*encoder);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::interrupted) throw;
    }
  }
  if (group_ != nullptr) share_scores(*group_, scores);
  stop_if_asked();  // the evaluation is done again when the run goes on
  if (!scores) return;
  evaluated_at_ = step_;
  take_scores(*scores);
}

void Session::take_scores(const DevScores& scores) {
  ScoreReport report;
  report.step = step_;
  report.scores = scores;
  if (step_ == 0) result_.before = scores;
  result_.after = scores;
  report.best = scores.main && (!result_.best || *scores.main > *result_.best);
  if (report.best) {
    result_.best = scores.main;
    result_.best_step = step_;
    without_gain_ = 0;
    if (recipe_.evaluate.keep_best && leads()) save(best_path());
  } else if (scores.main) {
    ++without_gain_;
  }
  if (log_) log_->add(report);
  if (events_.on_scores) events_.on_scores(report);
  const auto& before = result_.before.general;
  if (before && scores.general && *before - *scores.general > recipe_.evaluate.warn_loss &&
      events_.warn) {
    events_.warn(fmt::format(
        "step {}: the general score fell from {:.2f} to {:.2f}: the new data costs old skill; "
        "mix old data in, lower the learning rate, or average with the first model (akin merge)",
        step_, 100 * *before, 100 * *scores.general));
  }
  const uint64_t patience = recipe_.evaluate.patience;
  stopped_early_ = patience > 0 && without_gain_ >= patience && step_ > 0;
}

void Session::save(const fs::path& folder) {
  model_->save(folder, save_options(recipe_), averages());
}

// Of the model's own weights; empty where none are kept.
std::vector<at::Tensor> Session::averages() const {
  auto out = optimizer_->averages();
  if (!out.empty()) out.resize(model_->parameters().size());
  return out;
}

SessionResult run_session(SessionOptions options, const SessionEvents& events) {
  const auto group = join_run(options.launch, options.recipe);
  if (group == nullptr) return Session(std::move(options), events, nullptr).run();
  const SessionEvents silent;
  try {
    return Session(std::move(options), group->leads() ? events : silent, group.get()).run();
  } catch (const Error& error) {
    throw group->ending(error);
  } catch (const std::exception& error) {
    throw group->ending(Error(ErrorKind::internal, error.what()));
  }
}

}  // namespace akin::train
