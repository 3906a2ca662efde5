// What a recipe that reads well may still get wrong: values that cannot be, keys that do nothing in
// this run, options that no loss takes. Internal to train/.
#pragma once

#include <set>
#include <string>

#include "train/recipe.h"

namespace akin::train {

// "table.field" of what was said, the field's name with dashes.
struct GivenKeys {
  std::set<std::string> file, settings;
};

// Fields of [model] that only a new model has.
inline constexpr const char* kNewModelFields[] = {"family",    "layers",          "hidden",
                                                  "heads",     "ffn-hidden",      "max-positions",
                                                  "tokenizer", "embeddings-from", "init-std"};

// Each source's loss from its own table and, as far as it takes them, the options of [loss].
// Errors: usage, no such loss.
void settle_losses(Recipe& recipe);

// Of a settled recipe. Errors: usage, bad_format.
void check_recipe(const Recipe& recipe, const GivenKeys& given, const std::string& where);

}  // namespace akin::train
