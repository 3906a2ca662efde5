#include "data/path_key.h"

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace akin::data {
namespace fs = std::filesystem;
namespace {

void add_file(const fs::path& path, Hasher& hasher) {
  hasher.add(fs::absolute(path).lexically_normal().string());
  hasher.add(uint64_t{fs::file_size(path)});
  hasher.add(static_cast<uint64_t>(fs::last_write_time(path).time_since_epoch().count()));
}

}  // namespace

void add_path_key(const fs::path& path, Hasher& hasher) {
  if (!fs::exists(path)) throw_error(ErrorKind::not_found, path.string(), "no such file or folder");
  if (!fs::is_directory(path)) return add_file(path, hasher);
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) add_file(file, hasher);
}

}  // namespace akin::data
