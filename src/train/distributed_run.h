// What a run in several processes agrees on: that all do the same, with how many threads, and from
// which checkpoint. Internal to train/.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "train/checkpoint.h"
#include "train/distributed.h"
#include "train/recipe.h"
#include "train/session.h"

namespace akin::train {

// Null: one process alone. Errors: those of join(); usage (a process with another recipe);
// unsupported (pre-training).
std::unique_ptr<Group> join_run(const Launch& launch, Recipe& recipe);

// 0 in the recipe: the CPUs that this process may use, divided by those that share them with it.
size_t thread_count(const Recipe& recipe, Group* group);

// Of each process, by rank; of one alone, the number.
nlohmann::json all_threads(size_t own, Group* group);
std::string thread_words(const nlohmann::json& threads);  // for messages

// Every process trains on a GPU of its own machine.
Recipe on_own_device(Recipe recipe, const Group* group);

// Errors: usage, naming what of `facts` (an object) differs between processes.
void check_same(Group& group, const nlohmann::json& facts);

// Process 0's, for all; nothing, where it has none.
void share_checkpoint(Group& group, std::optional<Checkpoint>& checkpoint);
void share_scores(Group& group, std::optional<DevScores>& scores);

}  // namespace akin::train
