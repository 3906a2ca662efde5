// One process at a time: an exclusive flock on a file, held as long as the object lives and given
// back by the system when a process dies. Not a lock between threads of one owner.
#pragma once

#include <filesystem>
#include <string_view>

namespace akin {

class FolderLock {
 public:
  // Locks folder / name, made if need be. Does not wait. Errors: usage, another process (named by
  // its number) or object holds it, `busy` says what that one does: "is writing here; wait until it
  // is done"; io.
  FolderLock(const std::filesystem::path& folder, std::string_view name, std::string_view busy);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int file_ = -1;
};

}  // namespace akin
