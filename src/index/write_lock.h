// One writer a folder: an exclusive flock on a file in it, held as long as the object lives and
// given back by the system when a process dies. Not a lock between threads of one writer.
#pragma once

#include <filesystem>

namespace akin::index {

class WriteLock {
 public:
  // Does not wait. Errors: usage, another process (named by its number) or object holds it; io.
  explicit WriteLock(const std::filesystem::path& folder);
  ~WriteLock();
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  int file_ = -1;
};

inline constexpr const char* kLockName = "index.lock";

}  // namespace akin::index
