// main() of akin-train: akin with the verbs that need libtorch.
#include "cli/main.h"
#include "cli/train/train.h"

int main(int argc, char** argv) {
  akin::cli::set_train_runner(akin::cli::run_training);
  return akin::cli::run_main(argc, argv);
}
