// akin train: its words and options; what it does is in cli/train, in the program akin-train.
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "cli/command.h"
#include "cli/train_options.h"

namespace akin::cli {
namespace {

namespace fs = std::filesystem;

constexpr CommandInfo kInfo = {
    "train", "train a model from a recipe",
    "Reads a recipe (docs/train.md), draws every batch from one source, takes the steps, scores "
    "the model on dev tasks, and writes a sentence-transformers folder that akin and other tools "
    "open. The log is OUT/log.jsonl, curves are in TensorBoard event files beside it.\n"
    "A run that is stopped (Ctrl-C, SIGTERM) writes a checkpoint first; --resume goes on from the "
    "last one and, on a CPU with the same number of threads, ends in the same bytes as a run that "
    "was never stopped.",
    "akin train recipes/jina-v1-pairs.toml --data ./data --out runs/pairs\n"
    "akin train recipes/jina-v1-pairs.toml --data ./data --out runs/pairs --resume\n"
    "akin train recipes/static-mrl.toml --data ./data --out runs/short --set train.steps=200\n"
    "akin train --explain pairs.jsonl"};

TrainRunner& runner() {
  static TrainRunner value = nullptr;
  return value;
}

std::vector<std::string> own_words() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> out;
  for (std::string word; std::getline(file, word, '\0');) out.push_back(word);
  return out;
}

// Becomes akin-train, with the same words.
[[noreturn]] void hand_over(Context& context) {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path() / "akin-train";
  if (!fs::exists(program, ignored)) {
    throw_error(ErrorKind::unsupported, "akin train",
                "this build has no training: {} is not there; install libtorch (Debian: "
                "libtorch-dev) and build again with -DAKIN_TRAIN=ON",
                program.string());
  }
  context.flush();
  auto words = own_words();
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  // Threads of libtorch's OpenMP would spin between its operations, on the cores that akin's own
  // threads work on: a third of a step of a small model.
  ::setenv("OMP_WAIT_POLICY", "PASSIVE", /*overwrite=*/0);
  ::execv(program.c_str(), arguments.data());
  throw_error(ErrorKind::io, program.string(), "cannot be run: {}", std::strerror(errno));
}

int run(TrainOptions& options, Context& context) {
  if (runner() == nullptr) hand_over(context);
  return runner()(options, context);
}

}  // namespace

void set_train_runner(TrainRunner value) { runner() = value; }

std::unique_ptr<Command> make_train_command() {
  return std::make_unique<CommandOf<TrainOptions>>(kInfo, run);
}

}  // namespace akin::cli
