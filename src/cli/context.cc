#include "cli/context.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "cli/terminal.h"

namespace akin::cli {
namespace {

constexpr std::string_view kColorWords[] = {"auto", "always", "never"};

[[noreturn]] void stdout_failed() {
  const int error = errno;
  if (error == EPIPE) throw ClosedPipe();
  throw_error(ErrorKind::io, "stdout", "cannot write: {}", std::strerror(error));
}

}  // namespace

std::span<const std::string_view> choices(Color) { return kColorWords; }

Context::Context(const CommonOptions& common, std::string command, std::vector<OptionField> fields)
    : common_(common), command_(std::move(command)), fields_(std::move(fields)) {
  stdout_terminal_ = ::isatty(STDOUT_FILENO) != 0;
  stderr_terminal_ = ::isatty(STDERR_FILENO) != 0;
  const char* no_color = std::getenv("NO_COLOR");
  const bool wanted = stdout_terminal_ && (no_color == nullptr || *no_color == '\0');
  color_ = common_.color == Color::always || (common_.color == Color::automatic && wanted);
}

bool Context::interactive() const { return ::isatty(STDIN_FILENO) != 0 && stderr_terminal_; }

void Context::write(std::string_view bytes) {
  if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size()) {
    stdout_failed();
  }
}

void Context::print_json(const nlohmann::ordered_json& value) {
  write(value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void Context::flush() {
  if (std::fflush(stdout) != 0) stdout_failed();
}

void Context::say(std::string_view words) {
  if (!common_.quiet) warn(words);
}

void Context::warn(std::string_view words) {
  end_progress();
  std::fprintf(stderr, "%.*s\n", static_cast<int>(words.size()), words.data());
}

void Context::progress(const Progress& progress) {
  if (common_.quiet || !stderr_terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (bar_what_ != progress.what || progress.done == 0) {
    bar_what_ = progress.what;
    bar_start_ = now;
  } else if (bar_shown_ && now - bar_last_ < std::chrono::milliseconds(100)) {
    return;
  }
  const double seconds = std::chrono::duration<double>(now - bar_start_).count();
  if (seconds < 0.5) return;  // a short run shows no bar
  bar_last_ = now;
  bar_shown_ = true;
  const std::string line = progress_line(progress, seconds, terminal_columns());
  std::fprintf(stderr, "\r%s\x1b[K", line.c_str());
  std::fflush(stderr);
}

void Context::end_progress() {
  if (!bar_shown_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  bar_shown_ = false;
}

nlohmann::ordered_json Context::record() const {
  return {{"akin", AKIN_VERSION}, {"command", command_}, {"options", options_record(fields_)}};
}

void Context::write_record(const std::filesystem::path& out,
                           const nlohmann::ordered_json& facts) const {
  auto full = record();
  for (const auto& [key, value] : facts.items()) full[key] = value;
  auto path = out;
  path += ".config.json";
  write_file(path,
             full.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void check_output(const std::string& flag, const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (path == "-" || std::filesystem::is_regular_file(status)) return;
  if (!std::filesystem::exists(status)) {
    const auto folder = std::filesystem::path(path).parent_path();
    if (folder.empty() || std::filesystem::is_directory(folder, error)) return;
    throw_error(ErrorKind::usage, flag, "there is no folder {} to write {} in; make it first",
                quote(folder.string()), quote(path));
  }
  throw_error(ErrorKind::usage, flag, "{} is not a plain file; name a new file, or - for stdout",
              quote(path));
}

}  // namespace akin::cli
