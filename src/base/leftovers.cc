#include "base/leftovers.h"

#include <signal.h>
#include <sys/types.h>

#include <cerrno>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

namespace akin {

namespace fs = std::filesystem;

void remove_leftovers(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const std::string begin = path.filename().string() + ".";
  constexpr std::string_view kEnd = ".tmp";
  std::error_code error;
  std::vector<fs::path> dead;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string file = it->path().filename().string();
    std::string_view rest = file;
    if (file.size() <= begin.size() + kEnd.size() || !rest.starts_with(begin) ||
        !rest.ends_with(kEnd)) {
      continue;
    }
    rest = rest.substr(begin.size(), rest.size() - begin.size() - kEnd.size());
    pid_t process = 0;
    const auto [stop, failed] = std::from_chars(rest.data(), rest.data() + rest.size(), process);
    if (failed != std::errc() || stop != rest.data() + rest.size() || process <= 0) continue;
    if (::kill(process, 0) != 0 && errno == ESRCH) dead.push_back(it->path());
  }
  for (const auto& one : dead) fs::remove_all(one, error);
}

}  // namespace akin
