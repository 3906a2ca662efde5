#include "train/distributed_run.h"

#include <ATen/ATen.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/threads.h"
#include "train/run_record.h"

namespace akin::train {
namespace {

using nlohmann::json;

// The machine and which of its CPUs this process may run on.
std::string own_cpus() {
  char machine[256] = "";
  ::gethostname(machine, sizeof machine - 1);
  std::string out = machine;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return out;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) out += fmt::format(" {}", cpu);
  }
  return out;
}

}  // namespace

std::unique_ptr<Group> join_run(const Launch& launch, Recipe& recipe) {
  if (launch.size < 2) return nullptr;
  if (recipe.pretrain.objective != PretrainObjective::none) {
    throw_error(ErrorKind::unsupported, "pretrain.objective",
                "pre-training runs in one process, and this is process {} of {}; start it alone "
                "(contrastive training runs in several)",
                launch.rank, launch.size);
  }
  auto group = join(launch);
  check_same(*group, {{"version", AKIN_VERSION}, {"recipe", decisive(recipe)}});
  return group;
}

size_t thread_count(const Recipe& recipe, Group* group) {
  if (recipe.train.threads > 0) return recipe.train.threads;
  if (group == nullptr) return usable_cpus();
  const std::string own = own_cpus();
  const auto all = group->exchange(own);
  const auto sharing = static_cast<size_t>(std::count(all.begin(), all.end(), own));
  return std::max<size_t>(1, usable_cpus() / sharing);
}

json all_threads(size_t own, Group* group) {
  if (group == nullptr) return own;
  json out = json::array();
  for (const std::string& words : group->exchange(std::to_string(own))) {
    out.push_back(json::parse(words));
  }
  return out;
}

std::string thread_words(const json& threads) {
  if (!threads.is_array()) return threads.dump();
  return fmt::format("{} processes of {}", threads.size(), threads.dump());
}

Recipe on_own_device(Recipe recipe, const Group* group) {
  if (group != nullptr && recipe.train.device == "cuda") {
    recipe.train.device = fmt::format("cuda:{}", group->local_rank());
  }
  return recipe;
}

void check_same(Group& group, const json& facts) {
  const auto all = group.exchange(facts.dump());
  const json first = json::parse(all[0]);
  for (size_t r = 1; r < all.size(); ++r) {
    const std::string paths = differences(first, json::parse(all[r]));
    if (paths.empty()) continue;
    throw_error(ErrorKind::usage, fmt::format("process {} of {}", group.rank(), group.size()),
                "process {} does not do what process 0 does: they differ in {}; start all with the "
                "same program, recipe, settings and files",
                r, paths);
  }
}

void share_checkpoint(Group& group, std::optional<Checkpoint>& checkpoint) {
  json head;
  if (checkpoint) {
    head["state"] = checkpoint->state;
    for (const auto& [name, value] : checkpoint->tensors) {
      head["tensors"][name] = value.sizes().vec();
    }
  }
  head = json::parse(group.told(head.dump()));
  if (head.is_null()) return;
  if (!checkpoint) checkpoint.emplace();
  checkpoint->state = head["state"];
  for (const auto& [name, shape] : head["tensors"].items()) {
    at::Tensor& value = checkpoint->tensors[name];
    if (!value.defined()) {
      value = at::empty(at::IntArrayRef(shape.get<std::vector<int64_t>>()), at::kFloat);
    }
    group.share(value);
  }
}

void share_scores(Group& group, std::optional<DevScores>& scores) {
  const auto number = [](const auto& value) { return value ? json(*value) : json(nullptr); };
  json words;
  if (scores) {
    words = {{"tasks", scores->tasks},
             {"main", number(scores->main)},
             {"general", number(scores->general)}};
  }
  words = json::parse(group.told(words.dump()));
  if (words.is_null() || scores) return;
  scores.emplace();
  scores->tasks = words["tasks"].get<std::map<std::string, double>>();
  if (!words["main"].is_null()) scores->main = words["main"].get<double>();
  if (!words["general"].is_null()) scores->general = words["general"].get<double>();
}

}  // namespace akin::train
