#include "core/encoder.h"

#include <algorithm>

#include "base/error.h"
#include "core/precision_choices.h"

namespace akin {

size_t resolve_dims(const EncoderInfo& info, const EncodeOptions& options) {
  if (options.dims == 0) return info.dim;
  if (options.dims > info.dim) {
    throw_error(ErrorKind::usage, "dims", "{} asked, the model's vectors have {}", options.dims,
                info.dim);
  }
  const auto& declared = info.matryoshka_dims;
  if (options.dims != info.dim && !options.allow_any_dims &&
      std::find(declared.begin(), declared.end(), options.dims) == declared.end()) {
    if (declared.empty()) {
      throw_error(ErrorKind::usage, "dims",
                  "{} asked, but the model declares no Matryoshka dims and has {}; cut only where "
                  "allow-any-dims is given",
                  options.dims, info.dim);
    }
    throw_error(
        ErrorKind::usage, "dims",
        "{} is not one of the model's Matryoshka dims [{}]; cut only where allow-any-dims is given",
        options.dims, fmt::join(declared, ", "));
  }
  return options.dims;
}

std::string resolve_prompt(const EncoderInfo& info, const EncodeOptions& options) {
  if (options.prompt) return *options.prompt;
  const std::string& name =
      options.prompt_name.empty() ? info.default_prompt_name : options.prompt_name;
  if (name.empty()) return {};
  if (const auto it = info.prompts.find(name); it != info.prompts.end()) return it->second;
  std::vector<std::string> known;
  for (const auto& [key, value] : info.prompts) known.push_back(key);
  throw_error(ErrorKind::not_found, "prompt", "{} is not a prompt of {}; it has: {}", quote(name),
              info.name, known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")));
}

int32_t resolve_task(const EncoderInfo& info, std::string_view task) {
  if (task.empty()) return -1;
  const auto it = std::find(info.tasks.begin(), info.tasks.end(), task);
  if (it != info.tasks.end()) return static_cast<int32_t>(it - info.tasks.begin());
  throw_error(ErrorKind::not_found, "task", "{} is not a task of {}; it has: {}", quote(task),
              info.name,
              info.tasks.empty() ? "none" : fmt::format("{}", fmt::join(info.tasks, ", ")));
}

std::string_view precision_name(Precision precision) {
  return choices(precision)[static_cast<size_t>(precision)];
}

}  // namespace akin
