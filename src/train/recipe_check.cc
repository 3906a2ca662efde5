#include "train/recipe_check.h"

#include <algorithm>

#include "base/error.h"
#include "loss/loss.h"

namespace akin::train {
namespace {

[[noreturn]] void refuse(std::string_view where, std::string_view key, double got,
                         std::string_view expected) {
  throw_error(ErrorKind::usage, where, "{} is {}, expected {}", key, got, expected);
}

void check_range(const std::string& where, std::string_view key, double value, double least,
                 double most, std::string_view words) {
  if (value >= least && value <= most) return;
  // The upper bound of an open range is far off; whoever has met it wants to know it.
  const bool open = words.ends_with("more") || words.starts_with("more than");
  refuse(
      where, key, value,
      value > most && open ? fmt::format("{}, and at most {}", words, most) : std::string(words));
}

void check_values(const Recipe& recipe, const std::string& where) {
  const TrainTable& train = recipe.train;
  constexpr double kMany = 1e12;
  check_range(where, "train.steps", static_cast<double>(train.steps), 1, kMany, "1 or more");
  check_range(where, "train.batch", static_cast<double>(train.batch), 1, 1e7, "1 or more");
  check_range(where, "train.learning_rate", train.learning_rate, 1e-30, 1e3, "more than 0");
  check_range(where, "train.warmup", train.warmup, 0, 1, "a share, from 0 to 1");
  check_range(where, "train.weight_decay", train.weight_decay, 0, 1e3, "0 or more");
  check_range(where, "train.beta1", train.beta1, 0, 1 - 1e-9, "from 0 to below 1");
  check_range(where, "train.beta2", train.beta2, 0, 1 - 1e-9, "from 0 to below 1");
  check_range(where, "train.epsilon", train.epsilon, 1e-300, 1, "more than 0");
  check_range(where, "train.clip", train.clip, 0, kMany, "0 or more");
  check_range(where, "train.ema", train.ema, 0, 1 - 1e-12, "from 0 to below 1");
  check_range(where, "train.log_every", static_cast<double>(train.log_every), 1, kMany,
              "1 or more");
  check_range(where, "train.workers", static_cast<double>(train.workers), 1, 256, "1 to 256");
  check_range(where, "model.dropout", recipe.model.dropout, 0, 0.95, "from 0 to 0.95");
  check_range(where, "model.attention_dropout", recipe.model.attention_dropout, 0, 0.95,
              "from 0 to 0.95");
  check_range(where, "teacher.temperature", recipe.teacher.temperature, 1e-6, 1e6, "more than 0");
  check_range(where, "pretrain.mask", recipe.pretrain.mask, 0, 0.95, "a share, from 0 to 0.95");
  check_range(where, "pretrain.decoder_mask", recipe.pretrain.decoder_mask, 0, 0.95,
              "a share, from 0 to 0.95");
  check_range(where, "ewc.lambda", recipe.ewc.lambda, 0, kMany, "0 or more");
  check_range(where, "ewc.clip", recipe.ewc.clip, 1e-9, 1, "a quantile, above 0 and up to 1");
  check_range(where, "ewc.decay", recipe.ewc.decay, 0, 1, "from 0 to 1");
  check_range(where, "pretrain.bag_weight", recipe.pretrain.bag_weight, 0, 1e6, "0 or more");
  check_range(where, "mixture.alpha", recipe.mixture.alpha, 0, 1, "from 0 to 1");
  for (const SourceTable& source : recipe.sources) {
    check_range(where, fmt::format("source.{}.weight", source.name), source.weight, 1e-300, kMany,
                "more than 0");
    if (!source.loss.name.empty()) loss::make_loss(source.loss.name, source.loss.options);
  }
  if (!recipe.model.position.empty() && recipe.model.position != "rotary") {
    throw_error(ErrorKind::usage, where, "model.position is {}, expected rotary or nothing",
                quote(recipe.model.position));
  }
  if (recipe.sources.empty()) {
    throw_error(ErrorKind::bad_format, where, "no [[source]]: there is nothing to train on");
  }
}

// Keys for a new model beside a model to open: one of the two is a mistake. `--set model.open=...`
// may replace the new model of a recipe.
void check_open_model(const Recipe& recipe, const GivenKeys& given, const std::string& where) {
  if (recipe.model.open.empty()) return;
  const bool replaces = given.settings.contains("model.open");
  for (const char* key : kNewModelFields) {
    const std::string name = std::string("model.") + key;
    const bool counts = given.settings.contains(name) || (!replaces && given.file.contains(name));
    if (!counts) continue;
    throw_error(ErrorKind::usage, where,
                "{} is for a new model, but model.open names one to start from; leave one of them "
                "out",
                recipe_key(name));
  }
}

void check_idle(const Recipe& recipe, const GivenKeys& given, const std::string& where) {
  check_open_model(recipe, given, where);
  const EvaluateTable& evaluate = recipe.evaluate;
  if (evaluate.patience > 0 && (evaluate.every == 0 || evaluate.tasks.empty())) {
    throw_error(ErrorKind::usage, where,
                "evaluate.patience counts evaluations of evaluate.tasks on the way, but {}; set "
                "both, or leave patience out",
                evaluate.tasks.empty() ? "no tasks are named" : "evaluate.every is 0");
  }
  if (recipe.matryoshka.dims.empty() && !recipe.matryoshka.weights.empty()) {
    throw_error(
        ErrorKind::usage, where,
        "matryoshka.weights are those of matryoshka.dims, but there are no dims; name them, "
        "or leave the weights out");
  }
}

std::string taken_words(const std::string& loss) {
  const auto options = loss::loss_info(loss).options;
  return options.empty() ? fmt::format("{} takes none", loss)
                         : fmt::format("{} takes {}", loss, options);
}

// An option that nothing would take is a mistake. One of [loss] has to suit some loss of the run.
void check_loss_options(const Recipe& recipe, const std::string& where) {
  if (recipe.pretrain.objective != PretrainObjective::none) return;
  const auto takes = [&](const SourceTable& source, const std::string& option) {
    // [ewc] estimates on pairs with the temperature of their source, whatever its loss.
    const bool estimates = option == "temperature" && (source.old || recipe.ewc.estimate > 0);
    return option == "name" || estimates ||
           loss::takes_option(loss::loss_info(source.loss.name), option);
  };
  std::set<std::string> losses;
  for (const auto& source : recipe.sources) {
    losses.insert(source.loss.name);
    for (const auto& option : source.loss.given) {
      if (takes(source, option)) continue;
      throw_error(ErrorKind::usage, where, "{} is no option of the loss of the source {}: {}",
                  recipe_key(option), quote(source.name), taken_words(source.loss.name));
    }
  }
  for (const auto& option : recipe.loss.given) {
    const auto suits = [&](const SourceTable& source) { return takes(source, option); };
    if (std::any_of(recipe.sources.begin(), recipe.sources.end(), suits)) continue;
    std::string all;
    for (const auto& loss : losses) all += (all.empty() ? "" : "; ") + taken_words(loss);
    throw_error(ErrorKind::usage, where, "loss.{} is no option of any loss of this run: {}",
                recipe_key(option), all);
  }
}

}  // namespace

void settle_losses(Recipe& recipe) {
  const auto common = describe_options(recipe.loss);
  for (auto& source : recipe.sources) {
    LossTable& own = source.loss;
    const std::set<std::string> given = own.given;
    if (given.empty()) {
      own = recipe.loss;
      own.given.clear();
      continue;
    }
    if (!given.contains("name")) own.name = recipe.loss.name;
    const loss::LossInfo& info = loss::loss_info(own.name);
    const auto fields = describe_options(own);
    for (size_t i = 0; i < fields.size(); ++i) {
      const std::string& name = fields[i].name;
      if (!recipe.loss.given.contains(name) || given.contains(name)) continue;
      if (!loss::takes_option(info, name)) continue;
      const std::string value = common[i].get().dump();
      fields[i].set(std::span(&value, 1));
    }
  }
}

void check_recipe(const Recipe& recipe, const GivenKeys& given, const std::string& where) {
  check_values(recipe, where);
  check_idle(recipe, given, where);
  check_loss_options(recipe, where);
}

}  // namespace akin::train
