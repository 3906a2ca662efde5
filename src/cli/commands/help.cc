// akin help: the verbs, one verb, or all of it as Markdown or a man page.
#include "cli/help.h"

#include "cli/command.h"
#include "cli/registry.h"

namespace akin::cli {
namespace {

struct HelpOptions {
  std::string verb;
  bool markdown = false, man = false, list = false, version = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+verb=VERB", verb, "the verb to tell about");
    v("markdown", markdown, "the whole reference as Markdown (docs/cli.md)");
    v("man", man, "the whole reference as a man page");
    v("list", list, "only the names of the verbs, one a line");
    v("version", version, "only the version");
  }
};

constexpr CommandInfo kInfo = {"help", "this help, one verb's, or the whole reference",
                               "Prints the verbs, or what one verb does and takes.",
                               "akin help embed\nakin help --man | man -l -"};

int run(HelpOptions& options, Context& context) {
  if (options.version) {
    context.print("akin {}\n", AKIN_VERSION);
  } else if (options.markdown) {
    context.write(markdown_page());
  } else if (options.man) {
    context.write(man_page());
  } else if (options.list) {
    for (const auto name : command_names()) context.print("{}\n", name);
  } else if (!options.verb.empty()) {
    context.write(help_text(*make_command(options.verb)));
  } else {
    context.write(overview_text());
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_help_command() {
  return std::make_unique<CommandOf<HelpOptions>>(kInfo, run);
}

}  // namespace akin::cli
