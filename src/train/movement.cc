#include "train/movement.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace akin::train {
namespace {

// "adapter <task>": a task may have dots, what follows it begins with embed. or layer.
std::string group_of(const std::string& name) {
  constexpr std::string_view kAdapter = "adapter.";
  if (name.starts_with(kAdapter)) {
    const size_t end = std::min(name.rfind(".layer."), name.rfind(".embed."));
    return "adapter " + name.substr(kAdapter.size(), end - kAdapter.size());
  }
  const size_t dot = name.find('.');
  const bool layer = name.starts_with("layer.") || name.starts_with("dense.");
  return name.substr(0, layer ? name.find('.', dot + 1) : dot);
}

// In the order of the forward pass.
int rank_of(const std::string& group) {
  int number = 0;
  if (group == "embed" || group == "static") return -1;
  if (group.starts_with("layer.")) {
    std::from_chars(group.data() + 6, group.data() + group.size(), number);
    return number;
  }
  return group.starts_with("adapter") ? 1 << 20 : 1 << 19;
}

struct Sums {
  MovementRow row;
  double held = 0;  // sum of F (w - a)^2
};

double sum_of(const at::Tensor& values) { return values.sum(at::kDouble).item<double>(); }

void add_held(const Importance& held, const std::string& name, const at::Tensor& end, double lambda,
              Sums& out) {
  const auto it = held.fisher.find(name);
  if (it == held.fisher.end() || it->second.sizes() != end.sizes()) return;
  const at::Tensor& anchor = held.anchor.at(name);
  const at::Tensor pull = it->second * (end - anchor).square();
  MovementRow& row = out.row;
  row.importance = std::max(0.0, row.importance) + sum_of(it->second * anchor.square());
  row.largest = std::max(row.largest, lambda / 2 * pull.max().item<double>());
  out.held += sum_of(pull);
}

}  // namespace

std::vector<MovementRow> movement(const NamedValues& start, const NamedValues& end,
                                  const Importance* held, double lambda) {
  std::map<std::string, Sums> groups;
  for (const auto& [name, before] : start) {
    const auto it = end.find(name);
    if (it == end.end() || it->second.sizes() != before.sizes()) continue;
    Sums& sums = groups[group_of(name)];
    sums.row.weights += static_cast<uint64_t>(before.numel());
    sums.row.size += sum_of(before.square());
    sums.row.moved += sum_of((it->second - before).square());
    if (held != nullptr) add_held(*held, name, it->second, lambda, sums);
  }
  double importance = 0, penalty = 0;
  for (const auto& [group, sums] : groups) {
    importance += std::max(0.0, sums.row.importance);
    penalty += sums.held;
  }
  std::vector<MovementRow> out;
  for (auto& [group, sums] : groups) {
    MovementRow& row = sums.row;
    row.group = group;
    const auto n = static_cast<double>(std::max<uint64_t>(1, row.weights));
    row.size = std::sqrt(row.size / n);
    row.moved = std::sqrt(row.moved / n);
    if (row.importance >= 0) {
      row.held_moved = row.importance > 0 ? std::sqrt(sums.held / row.importance) : 0;
      row.penalty = penalty > 0 ? sums.held / penalty : 0;
      row.importance = importance > 0 ? row.importance / importance : 0;
    }
    out.push_back(row);
  }
  std::stable_sort(out.begin(), out.end(), [](const MovementRow& a, const MovementRow& b) {
    return rank_of(a.group) < rank_of(b.group);
  });
  return out;
}

nlohmann::ordered_json movement_json(const std::vector<MovementRow>& rows) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const MovementRow& row : rows) {
    nlohmann::ordered_json value = {{"group", row.group},
                                    {"weights", row.weights},
                                    {"size", row.size},
                                    {"moved", row.moved},
                                    {"relative", row.size > 0 ? row.moved / row.size : 0}};
    if (row.importance >= 0) {
      value["importance"] = row.importance;
      value["held_moved"] = row.held_moved;
      value["penalty_share"] = row.penalty;
      value["largest_penalty"] = row.largest;
    }
    out.push_back(value);
  }
  return out;
}

}  // namespace akin::train
