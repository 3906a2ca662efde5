// The one place where errors become words on stderr and an exit code: 0 ok, 1 failure, 2 usage, 130
// interrupted.
#include "cli/main.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/context.h"
#include "cli/help.h"
#include "cli/parse.h"
#include "cli/registry.h"
#include "cli/terminal.h"

namespace akin::cli {
namespace {

// The first signal asks long loops to stop; a second one ends the process at once.
extern "C" void on_signal(int number) {
  if (interrupt_flag().exchange(true)) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
}

void install_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  // A terminal that is closed. Under nohup it stays ignored; akin serve reloads on it instead.
  struct sigaction hangup {};
  ::sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) ::sigaction(SIGHUP, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an EPIPE that write() reports
  std::signal(SIGXFSZ, SIG_IGN);  // a file over the limit is an EFBIG
}

int report_error(const Error& error, bool json) {
  const auto& info = error_kind_info(error.kind());
  const std::string line =
      json ? nlohmann::ordered_json{{"error",
                                     {{"kind", info.name},
                                      {"message", error.message()},
                                      {"where", error.where()}}}}
                 .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
           : "akin: " + printable(error.what());
  std::fprintf(stderr, "%s\n", line.c_str());
  return info.exit_code;
}

// store/ writes to stdout through AtomicFile, whose error for a closed pipe is an io error of
// "stdout".
bool is_closed_pipe(const Error& error) {
  return error.kind() == ErrorKind::io && error.where() == "stdout" &&
         error.message().ends_with(std::strerror(EPIPE));
}

int run_verb(const std::string& verb, const std::vector<std::string>& words,
             CommonOptions& common) {
  const auto command = make_command(verb);
  auto fields = command->fields();
  for (auto& field : describe_options(common)) fields.push_back(std::move(field));
  if (!parse_options(verb, fields, words)) {
    Context context(common, verb, {});
    context.write(help_text(*command));
    context.flush();
    return 0;
  }
  Context context(common, verb, std::move(fields));
  set_log_sink([&context](LogLevel level, std::string_view message) {
    if (level >= LogLevel::warning) context.warn("akin: warning: " + printable(message));
  });
  struct ClearSink {
    ~ClearSink() { set_log_sink({}); }
  } clear;
  try {
    const int code = command->run(context);
    context.flush();
    context.end_progress();
    return code;
  } catch (...) {
    context.end_progress();
    throw;
  }
}

// Translates the words users try first.
void translate_verb(std::vector<std::string>& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h") words = {"help"};
  if (words[0] == "--version" || words[0] == "-V") words = {"help", "--version"};
}

}  // namespace

int run_main(int argc, char** argv) {
  install_signals();
  CommonOptions common;
  std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  translate_verb(words);
  for (const auto& word : words) {
    if (word == "--") break;
    common.json = common.json || word == "--json";  // so that a usage error is JSON too
  }
  const bool json = common.json;
  common.json = false;
  try {
    return run_verb(words[0], std::vector<std::string>(words.begin() + 1, words.end()), common);
  } catch (const ClosedPipe&) {
    return 0;
  } catch (const Error& error) {
    return is_closed_pipe(error) ? 0 : report_error(error, json || common.json);
  } catch (const std::filesystem::filesystem_error& error) {
    return report_error(Error(ErrorKind::io, error.code().message(), error.path1().string()),
                        json || common.json);
  } catch (const std::bad_alloc&) {
    return report_error(
        Error(ErrorKind::io, "out of memory; use a smaller --block or fewer --threads"),
        json || common.json);
  } catch (const std::exception& error) {
    return report_error(Error(ErrorKind::internal, error.what(), "akin " + words[0]),
                        json || common.json);
  }
}

}  // namespace akin::cli
