#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace akin::train {

double learning_rate(const TrainTable& train, uint64_t step) {
  const auto steps = static_cast<double>(train.steps);
  const double warmup = std::round(train.warmup * steps);
  const auto at = static_cast<double>(step);
  if (at < warmup) return train.learning_rate * (at + 1) / warmup;
  const double done = std::min(1.0, (at - warmup) / std::max(1.0, steps - warmup));
  switch (train.schedule) {
    case Schedule::linear:
      return train.learning_rate * (1 - done);
    case Schedule::cosine:
      return train.learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * done));
    case Schedule::constant:
      break;
  }
  return train.learning_rate;
}

}  // namespace akin::train
