// Means over the steps since the last report, and how long the rest will take. Internal to train/.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "data/loader.h"
#include "train/session.h"
#include "train/step.h"

namespace akin::train {

class Meters {
 public:
  // From here on time counts; `waited` is the loader's sum so far.
  void start(double waited);
  void add(const data::TrainBatch& batch, const StepOutcome& outcome, double learning_rate);
  // Reports, and starts anew.
  StepReport report(uint64_t step, const TrainTable& train, double waited,
                    const std::vector<data::MixtureSource>& sources);

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  double waited_ = 0;
  uint64_t batches_ = 0, pairs_ = 0, tokens_ = 0, cut_ = 0, ranked_ = 0;
  double loss_ = 0, penalty_ = 0, norm_ = 0, negatives_ = 0, solved_ = 0, rate_ = 0;
  double query_cosine_ = 0;
  uint64_t compared_ = 0;                                      // batches that have one
  std::map<size_t, std::pair<double, uint64_t>> source_loss_;  // sum, batches
  std::map<std::string, double> parts_;                        // sums
};

}  // namespace akin::train
