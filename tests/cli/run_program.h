// Runs the program under test the way a shell would: arguments, stdin, environment; gives exit
// code, stdout, stderr. POSIX.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace akin::cli_test {

struct Invocation {
  std::vector<std::string> arguments;
  std::string input = {};                               // of stdin
  std::map<std::string, std::string> environment = {};  // besides the one of the tests
  std::string stdout_to = {};  // a file instead of a pipe, such as /dev/full
  // Called with the process number once the program runs; for signals.
  std::function<void(int)> while_running = {};
  // Called with what there is of stdout (false) or stderr (true) whenever there is more of it.
  std::function<void(bool, const std::string&)> on_output = {};
};

struct Result {
  int code = -1;  // exit code; 128 + n when ended by signal n
  std::string out, err;
};

// A fresh folder, removed when the object goes.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::string write(const std::string& name, const std::string& bytes) const;  // returns its path
  std::vector<std::string> names() const;  // sorted names of what lies in it

 private:
  std::filesystem::path path_;
};

inline constexpr const char* kModel = "models/static-en-64";
inline constexpr const char* kChineseModel = "models/static-zh-200";

namespace detail {

struct Pipe {
  int read = -1, write = -1;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    read = ends[0];
    write = ends[1];
  }
};

inline void become_program(const Invocation& what, int in, int out, int err) {
  ::dup2(in, 0);
  ::dup2(what.stdout_to.empty() ? out : ::open(what.stdout_to.c_str(), O_WRONLY), 1);
  ::dup2(err, 2);
  for (const auto& [name, value] : what.environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv = {const_cast<char*>(AKIN_PROGRAM)};
  for (const auto& argument : what.arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(AKIN_PROGRAM, argv.data());
  ::_exit(127);
}

// Feeds stdin and drains both outputs at once, so that neither side waits for the other.
inline void exchange(const Invocation& what, int in, int out, int err, Result& result) {
  const std::string& input = what.input;
  size_t sent = 0;
  ::fcntl(in, F_SETFL, O_NONBLOCK);
  if (input.empty()) {
    ::close(in);
    in = -1;
  }
  bool out_open = true, err_open = true;
  while (out_open || err_open) {
    pollfd waits[3] = {
        {out_open ? out : -1, POLLIN, 0}, {err_open ? err : -1, POLLIN, 0}, {in, POLLOUT, 0}};
    ::poll(waits, 3, 1000);
    char buffer[1 << 16];
    const auto drain = [&](const pollfd& wait, std::string& to, bool& open) {
      if (wait.revents == 0) return;
      const ssize_t n = ::read(wait.fd, buffer, sizeof buffer);
      if (n > 0) to.append(buffer, static_cast<size_t>(n));
      if (n > 0 && what.on_output) what.on_output(&to == &result.err, to);
      if (n <= 0) open = false;
    };
    drain(waits[0], result.out, out_open);
    drain(waits[1], result.err, err_open);
    if (in >= 0 && waits[2].revents != 0) {
      const ssize_t n = ::write(in, input.data() + sent, input.size() - sent);
      if (n > 0) sent += static_cast<size_t>(n);
      if (n < 0 || sent == input.size()) {
        ::close(in);
        in = -1;
      }
    }
  }
  if (in >= 0) ::close(in);
}

}  // namespace detail

inline Result run(const Invocation& what) {
  ::signal(SIGPIPE, SIG_IGN);
  detail::Pipe in, out, err;
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    detail::become_program(what, in.read, out.write, err.write);
  }
  ::close(in.read);
  ::close(out.write);
  ::close(err.write);
  if (what.while_running) what.while_running(child);
  Result result;
  detail::exchange(what, in.write, out.read, err.read, result);
  ::close(out.read);
  ::close(err.read);
  int status = 0;
  ::waitpid(child, &status, 0);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

inline Result run(std::vector<std::string> arguments) {
  return run(Invocation{.arguments = std::move(arguments)});
}

inline TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "akin_cli_XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = name;
}

inline TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

inline std::string TemporaryFolder::write(const std::string& name, const std::string& bytes) const {
  std::filesystem::create_directories((path_ / name).parent_path());
  std::ofstream(path_ / name, std::ios::binary) << bytes;
  return file(name);
}

inline std::vector<std::string> TemporaryFolder::names() const {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(path_))
    out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

inline std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

}  // namespace akin::cli_test
