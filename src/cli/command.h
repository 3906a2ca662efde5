// What a verb of the program is: its words, its options, its run. A command has no header of its
// own: it is one .cc in commands/ that exports make_<name>_command(), and one line in commands.def.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/options.h"
#include "cli/context.h"

namespace akin::cli {

struct CommandInfo {
  std::string_view name;
  std::string_view summary;      // one line, for the list of verbs
  std::string_view description;  // paragraphs, for --help and the docs
  std::string_view examples;     // one command line a line
};

class Command {
 public:
  virtual ~Command() = default;
  virtual const CommandInfo& info() const = 0;
  // Bound to the command's own options; the command must outlive them.
  virtual std::vector<OptionField> fields() = 0;
  // Returns the exit code. Errors: akin::Error, which the caller turns into words and a code.
  virtual int run(Context& context) = 0;
};

// A command as a function over an options struct: what every file in commands/ returns.
template <typename Options>
class CommandOf final : public Command {
 public:
  using Run = int (*)(Options& options, Context& context);
  CommandOf(const CommandInfo& words, Run function) : info_(words), run_(function) {}
  const CommandInfo& info() const override { return info_; }
  std::vector<OptionField> fields() override { return describe_options(options_); }
  int run(Context& context) override { return run_(options_, context); }

 private:
  CommandInfo info_;
  Options options_;
  Run run_;
};

}  // namespace akin::cli
