// The verbs of the program, from commands.def.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace akin::cli {

std::vector<std::string_view> command_names();  // in the order of commands.def
std::unique_ptr<Command> make_command(
    std::string_view name);  // Errors: usage, naming the nearest verb

}  // namespace akin::cli
