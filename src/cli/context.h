// What a command may use of the outside: stdout for data, stderr for words, the progress bar, and
// the options that all commands share. Nothing else in cli/ writes to a terminal.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/options.h"
#include "base/progress.h"

namespace akin::cli {

enum class Color : uint8_t { automatic, always, never };
std::span<const std::string_view> choices(Color);

struct CommonOptions {
  bool json = false;
  bool quiet = false;
  Color color = Color::automatic;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("json", json, "machine-readable: JSON on stdout, and an error as one JSON object on stderr");
    v("quiet", quiet, "no progress bar and no closing line; warnings and errors remain");
    v("color=WHEN", color, "colours in the output; auto = only on a terminal");
  }
};

// A pipe that its reader closed: the run ends quietly with exit code 0.
class ClosedPipe {};

class Context {
 public:
  Context(const CommonOptions& common, std::string command, std::vector<OptionField> fields);

  // Data on stdout. Errors: io on a full disk; ClosedPipe when the reader has gone.
  void write(std::string_view bytes);
  template <typename... Args>
  void print(fmt::format_string<Args...> format, Args&&... args) {
    write(fmt::format(format, std::forward<Args>(args)...));
  }
  void print_json(const nlohmann::ordered_json& value);  // one line
  void flush();

  // Words on stderr; say() is silent under --quiet, warn() is not.
  void say(std::string_view words);
  void warn(std::string_view words);

  bool json() const { return common_.json; }
  bool quiet() const { return common_.quiet; }
  bool color() const { return color_; }  // colour escapes on stdout
  bool stdout_terminal() const { return stdout_terminal_; }
  bool interactive() const;  // stdin and stderr are a terminal

  // Draws a bar on stderr when it is a terminal and not --quiet; does nothing otherwise. Call
  // end_progress() before words.
  void progress(const Progress& progress);
  void end_progress();

  // The resolved configuration of this run: command, version, every option.
  nlohmann::ordered_json record() const;
  // Writes `<out>.config.json`: the record, and `facts` that the run found (model fingerprint,
  // counts).
  void write_record(const std::filesystem::path& out, const nlohmann::ordered_json& facts) const;

 private:
  CommonOptions common_;
  std::string command_;
  std::vector<OptionField> fields_;
  bool color_ = false, stdout_terminal_ = false, stderr_terminal_ = false, bar_shown_ = false;
  std::chrono::steady_clock::time_point bar_start_, bar_last_;
  std::string bar_what_;
};

// An output that is there must be a plain file, for it is replaced as a whole: never a device or a
// folder; one that is not there needs its folder. "-" is fine. Errors: usage.
void check_output(const std::string& flag, const std::string& path);

}  // namespace akin::cli
