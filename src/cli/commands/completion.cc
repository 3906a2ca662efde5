// akin completion: the completion script of a shell, on stdout.
#include "cli/command.h"
#include "cli/help.h"

namespace akin::cli {
namespace {

struct CompletionOptions {
  std::string shell = "bash";
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+shell=SHELL", shell, "bash, zsh or fish");
  }
};

constexpr CommandInfo kInfo = {
    "completion", "the completion script of a shell",
    "Prints a script that makes the shell complete verbs, flags and their values.",
    "akin completion bash > ~/.local/share/bash-completion/completions/akin\nakin completion fish "
    "> ~/.config/fish/completions/akin.fish"};

int run(CompletionOptions& options, Context& context) {
  context.write(completion_script(options.shell));
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_completion_command() {
  return std::make_unique<CommandOf<CompletionOptions>>(kInfo, run);
}

}  // namespace akin::cli
