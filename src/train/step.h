// One optimizer step: batch to vectors, vectors to loss, loss to gradients, gradients to weights.
// Internal to train/.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "data/loader.h"
#include "loss/loss.h"
#include "nn/text_model.h"
#include "train/adamw.h"
#include "train/distributed.h"
#include "train/ewc.h"
#include "train/objectives/objective.h"
#include "train/teacher.h"

namespace akin::train {

struct StepOptions {
  uint64_t dropout_seed = 0;
  double learning_rate = 0;
  size_t grad_cache = 0;   // texts whose activations are kept at a time; 0: all
  Ewc* ewc = nullptr;      // adds its penalty to the loss
  Group* group = nullptr;  // processes that share the batch; null: this one alone
  TeacherAnswer teacher;   // to the whole batch
  // What stays of the run where a step cannot be taken: words for the error.
  std::function<std::string()> kept = [] { return std::string(); };
};

struct StepOutcome {
  double loss = 0;     // with the penalty
  double penalty = 0;  // of [ewc]
  double gradient_norm = 0, negatives_per_query = 0, solved = -1;
  std::optional<double> query_cosine;   // mean over the pairs of different queries of the batch
  std::map<std::string, double> parts;  // of a pre-training loss
};

// Texts [begin, end) of a batch as a batch of their own.
TokenBatch slice(const TokenBatch& all, size_t begin, size_t end);

// A batch of single texts with every text a second time, as its own document: two dropout masks
// make two vectors of it (SimCSE).
void embed_twice(data::TrainBatch& batch);

// The gradients of the whole batch's loss in model.parameters(), and the loss; no penalty, no norm.
StepOutcome leave_gradients(nn::TextModel& model, const data::TrainBatch& batch,
                            const loss::Loss& loss, const StepOptions& options);

// Errors: usage, naming rows of the batch, when the loss or the gradient is not finite; the weights
// are then unchanged.
StepOutcome take_step(nn::TextModel& model, const data::TrainBatch& batch, const loss::Loss& loss,
                      AdamW& optimizer, const StepOptions& options);
// The same for pre-training.
StepOutcome take_step(nn::TextModel& model, const data::TrainBatch& batch,
                      const Objective& objective, AdamW& optimizer, const StepOptions& options);

}  // namespace akin::train
