// One writer a folder, see base/folder_lock.h.
#pragma once

#include <filesystem>

#include "base/folder_lock.h"

namespace akin::index {

inline constexpr const char* kLockName = "index.lock";

class WriteLock {
 public:
  // Errors: usage, another process (named by its number) or object holds it; io.
  explicit WriteLock(const std::filesystem::path& folder)
      : lock_(folder, kLockName, "is writing here; wait until it is done") {}

 private:
  FolderLock lock_;
};

}  // namespace akin::index
