// main() of akin-train: akin with what needs libtorch.
#include "cli/main.h"
#include "cli/train/device_encoder.h"
#include "cli/train/train.h"

int main(int argc, char** argv) {
  akin::cli::set_train_runner(akin::cli::run_training);
  akin::cli::set_device_encoder_maker(akin::cli::make_device_encoder);
  return akin::cli::run_main(argc, argv);
}
