#include "cli/registry.h"

#include "base/error.h"

namespace akin::cli {

#define AKIN_COMMAND(name) std::unique_ptr<Command> make_##name##_command();
#include "cli/commands.def"
#undef AKIN_COMMAND

namespace {

struct Row {
  std::string_view name;
  std::unique_ptr<Command> (*make)();
};
constexpr Row kCommands[] = {
#define AKIN_COMMAND(name) {#name, make_##name##_command},
#include "cli/commands.def"
#undef AKIN_COMMAND
};

}  // namespace

std::vector<std::string_view> command_names() {
  std::vector<std::string_view> out;
  for (const auto& row : kCommands) out.push_back(row.name);
  return out;
}

std::unique_ptr<Command> make_command(std::string_view name) {
  for (const auto& row : kCommands) {
    if (row.name == name) return row.make();
  }
  const auto names = command_names();
  const auto near = nearest(name, names.data(), names.size());
  throw_error(ErrorKind::usage, "", "{} is not a verb; {}", quote(name),
              near.empty() ? fmt::format("the verbs are {}", fmt::join(names, ", "))
                           : fmt::format("did you mean \"{}\"?", near));
}

}  // namespace akin::cli
