// akin train: its words and options; what it does is in cli/train, in the program akin-train.
#include "cli/command.h"
#include "cli/hand_over.h"
#include "cli/train_options.h"

namespace akin::cli {
namespace {

constexpr CommandInfo kInfo = {
    "train", "train a model from a recipe",
    "Reads a recipe (docs/train.md), draws every batch from one source, takes the steps, scores "
    "the model on dev tasks, and writes a sentence-transformers folder that akin and other tools "
    "open. The log is OUT/log.jsonl, curves are in TensorBoard event files beside it.\n"
    "A run that is stopped (Ctrl-C, SIGTERM) writes a checkpoint first; --resume goes on from the "
    "last one and, on a CPU with the same number of threads, ends in the same bytes as a run that "
    "was never stopped.\n"
    "Several processes train together (docs/distributed.md) when torchrun --no-python, mpirun or "
    "srun starts akin train in each of them.",
    "akin train recipes/jina-v1-pairs.toml --data ./data --out runs/pairs\n"
    "akin train recipes/jina-v1-pairs.toml --data ./data --out runs/pairs --resume\n"
    "akin train recipes/static-mrl.toml --data ./data --out runs/short --set train.steps=200\n"
    "mpirun -np 2 akin train recipes/jina-v1-pairs.toml --data ./data --out runs/pairs\n"
    "akin train --explain pairs.jsonl"};

TrainRunner& runner() {
  static TrainRunner value = nullptr;
  return value;
}

int run(TrainOptions& options, Context& context) {
  if (runner() == nullptr) hand_over("akin train");
  return runner()(options, context);
}

}  // namespace

void set_train_runner(TrainRunner value) { runner() = value; }

std::unique_ptr<Command> make_train_command() {
  return std::make_unique<CommandOf<TrainOptions>>(kInfo, run);
}

}  // namespace akin::cli
