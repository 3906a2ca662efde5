// How far a run has moved the weights, layer by layer, and what held them: for the report behind a
// run. Compares values only; knows no data.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "train/ewc.h"

namespace akin::train {

struct MovementRow {
  std::string group;  // "embed", "layer.3", "adapter retrieval.query", "dense"
  uint64_t weights = 0;
  double size = 0, moved = 0;  // root mean squares: of the weights at the start, of the differences
  // Of what [ewc] holds: the group's share of all importance, its root mean square relative
  // movement weighted by importance, its share of the penalty's value, and the largest single
  // (lambda / 2) F (w - a)^2. Below 0: nothing is held.
  double importance = -1, held_moved = -1, penalty = -1, largest = -1;
};

using NamedValues = std::map<std::string, at::Tensor>;  // by lasting name
// `held` may be null. Weights that are in one of the two only are left out.
std::vector<MovementRow> movement(const NamedValues& start, const NamedValues& end,
                                  const Importance* held, double lambda);
nlohmann::ordered_json movement_json(const std::vector<MovementRow>& rows);

}  // namespace akin::train
