// Everything that is written from the declarations of commands and options: --help, docs/cli.md,
// the man page and shell completion. Nothing here is written twice, so documentation cannot lag
// behind.
#pragma once

#include <string>
#include <string_view>

#include "cli/command.h"

namespace akin::cli {

std::string usage_line(const Command& command, std::span<const OptionField> fields);
std::string help_text(Command& command);  // akin <verb> --help
std::string overview_text();              // akin help
std::string markdown_page();              // docs/cli.md
std::string man_page();                   // akin.1
// shell: "bash", "zsh" or "fish". Errors: usage.
std::string completion_script(std::string_view shell);

// A command's own fields, then the ones that all commands share. The result borrows the command.
std::vector<OptionField> all_fields(Command& command);

}  // namespace akin::cli
