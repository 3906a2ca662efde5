// What `akin train` takes, and who does it. The program itself does not load libtorch, which would
// cost every other verb most of a second: training is a second program, akin-train, beside it.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace akin::cli {

struct TrainOptions {
  std::string recipe, out, data, explain;
  std::vector<std::string> set;
  bool resume = false, change_rate = false, list = false, dry_run = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+recipe=RECIPE", recipe, "TOML file: the model, the sources, the losses, the schedule");
    v("out=DIR", out, "folder of the run; the trained model is DIR/model");
    v("data=DIR", data,
      "what relative paths of the recipe begin at; default: the folder that the recipe is in");
    v("set=TABLE.KEY=VALUE...", set,
      "change a value of the recipe, such as train.steps=100 or source.NAME.weight=2");
    v("resume", resume, "go on with a run that was stopped; ends in the same weights");
    v("change-rate", change_rate,
      "with --resume: take the recipe's train.learning_rate and train.clip, though the run began "
      "with others");
    v("list", list, "print the losses and every key of a recipe, and stop");
    v("explain=FILE", explain, "say which losses fit the fields of a file of records, and why");
    v("dry-run", dry_run, "check the recipe and print it with every value, train nothing");
  }
};

// Set by akin-train before it runs the verb; akin has none and hands the verb over.
using TrainRunner = int (*)(const TrainOptions& options, Context& context);
void set_train_runner(TrainRunner runner);

}  // namespace akin::cli
