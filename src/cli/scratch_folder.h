// A folder for what a command writes on its way, gone with all that is in it when the command ends.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "base/error.h"

namespace akin::cli {

class ScratchFolder {
 public:
  // Of the name of `path` and six letters more. Errors: io.
  explicit ScratchFolder(const std::filesystem::path& path) {
    std::string name = path.string() + "-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
      throw_error(ErrorKind::io, name, "cannot make a folder for temporary files");
    }
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace akin::cli
