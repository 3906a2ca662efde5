#include "train/meters.h"

#include <algorithm>

namespace akin::train {

void Meters::start(double waited) {
  *this = Meters();
  waited_ = waited;
}

void Meters::add(const data::TrainBatch& batch, const StepOutcome& outcome, double learning_rate) {
  ++batches_;
  pairs_ += batch.rows;
  tokens_ += batch.texts.tokens();
  cut_ += batch.cut_texts;
  loss_ += outcome.loss;
  penalty_ += outcome.penalty;
  norm_ += outcome.gradient_norm;
  negatives_ += outcome.negatives_per_query;
  rate_ = learning_rate;
  if (outcome.solved >= 0) {
    solved_ += outcome.solved;
    ++ranked_;
  }
  if (outcome.query_cosine) {
    query_cosine_ += *outcome.query_cosine;
    ++compared_;
  }
  for (const auto& [name, part] : outcome.parts) parts_[name] += part;
  auto& [sum, count] = source_loss_[batch.source];
  sum += outcome.loss;
  ++count;
}

StepReport Meters::report(uint64_t step, const TrainTable& train, double waited,
                          const std::vector<data::MixtureSource>& sources) {
  StepReport out;
  const double seconds = std::max(
      1e-9, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count());
  const auto batches = static_cast<double>(std::max<uint64_t>(1, batches_));
  out.step = step;
  out.steps = train.steps;
  out.batches = batches_;
  out.loss = loss_ / batches;
  out.penalty = penalty_ / batches;
  out.gradient_norm = norm_ / batches;
  out.negatives_per_query = negatives_ / batches;
  out.learning_rate = rate_;
  out.solved = ranked_ == 0 ? -1 : solved_ / static_cast<double>(ranked_);
  if (compared_ > 0) out.query_cosine = query_cosine_ / static_cast<double>(compared_);
  out.pairs_per_second = static_cast<double>(pairs_) / seconds;
  out.tokens_per_second = static_cast<double>(tokens_) / seconds;
  out.seconds_left = static_cast<double>(train.steps - step) * seconds / batches;
  out.waited = (waited - waited_) / seconds;
  out.cut_texts = cut_;
  for (const auto& [name, sum] : parts_) out.parts[name] = sum / batches;
  for (const auto& [source, sum] : source_loss_) {
    out.source_loss[sources[source].name] = sum.first / static_cast<double>(sum.second);
  }
  start(waited);
  return out;
}

}  // namespace akin::train
