#include "base/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"

namespace akin {
namespace {

std::string holder(int file) {
  char digits[32] = {};
  const ssize_t n = ::pread(file, digits, sizeof digits - 1, 0);
  std::string out;
  for (ssize_t i = 0; i < n && digits[i] >= '0' && digits[i] <= '9'; ++i) out += digits[i];
  return out;
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder, std::string_view name,
                       std::string_view busy) {
  const auto path = folder / name;
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (file_ < 0) {
    throw_error(ErrorKind::io, path.string(), "cannot open for writing: {}", std::strerror(errno));
  }
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    const std::string who = holder(file_);
    ::close(file_);
    if (error != EWOULDBLOCK) {
      throw_error(ErrorKind::io, path.string(), "cannot lock: {}", std::strerror(error));
    }
    throw_error(ErrorKind::usage, folder.string(), "another process{} {}",
                who.empty() ? std::string() : " (" + who + ")", busy);
  }
  // The number is for people only: a lock without it is a lock too.
  const std::string number = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file_, 0) == 0) (void)!::pwrite(file_, number.data(), number.size(), 0);
}

FolderLock::~FolderLock() { ::close(file_); }

}  // namespace akin
