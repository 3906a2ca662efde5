#include "train/saving.h"

#include "base/error.h"
#include "nn/save.h"

namespace akin::train {

nn::SaveOptions save_options(const Recipe& recipe) {
  nn::SaveOptions out;
  for (const int64_t dim : recipe.matryoshka.dims) {
    out.matryoshka_dims.push_back(static_cast<size_t>(dim));
  }
  for (const auto& prompt : recipe.save.prompts) {
    const size_t equals = prompt.find('=');
    if (equals == std::string::npos) {
      throw_error(ErrorKind::usage, "save.prompts", "{} is not NAME=TEXT", quote(prompt));
    }
    out.prompts[prompt.substr(0, equals)] = prompt.substr(equals + 1);
  }
  out.default_prompt_name = recipe.save.default_prompt;
  constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};
  out.dtype = kTypes[static_cast<size_t>(recipe.save.dtype)];
  return out;
}

void check_saving(const Recipe& recipe, const model::Model& model,
                  const std::filesystem::path& out) {
  const nn::SaveOptions options = save_options(recipe);
  const auto& prompts = options.prompts.empty() ? model.prompts : options.prompts;
  const std::string& chosen = options.default_prompt_name;
  if (!chosen.empty() && !prompts.contains(chosen)) {
    std::vector<std::string> names;
    for (const auto& [name, text] : prompts) names.push_back(name);
    throw_error(ErrorKind::usage, "save.default_prompt",
                "{} is not one of the prompts, which are {}; name one of them, or add it to "
                "save.prompts",
                quote(chosen), names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
  }
  for (const size_t dim : options.matryoshka_dims) {
    if (dim >= 1 && dim <= model.dim) continue;
    throw_error(ErrorKind::usage, "matryoshka.dims", "{}, but the model has {} dims", dim,
                model.dim);
  }
  for (const char* name : {"model", "best"}) nn::check_target(out / name);
  if (!recipe.adapters.merged) return;
  for (const auto& task : recipe.adapters.names) nn::check_target(out / "merged" / task);
}

}  // namespace akin::train
