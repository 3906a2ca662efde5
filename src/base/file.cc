#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace akin {
namespace {

class Descriptor {
 public:
  explicit Descriptor(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) {
      const bool missing = errno == ENOENT || errno == ENOTDIR;
      throw_error(missing ? ErrorKind::not_found : ErrorKind::io, path.string(), "cannot open: {}",
                  std::strerror(errno));
    }
    struct stat info {};
    if (::fstat(fd_, &info) != 0 || S_ISDIR(info.st_mode)) {
      const int error = S_ISDIR(info.st_mode) ? EISDIR : errno;
      ::close(fd_);
      throw_error(ErrorKind::io, path.string(), "cannot read: {}", std::strerror(error));
    }
    size_ = static_cast<uint64_t>(info.st_size);
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd() const { return fd_; }
  uint64_t size() const { return size_; }

 private:
  int fd_;
  uint64_t size_ = 0;
};

}  // namespace

std::string read_file(const std::filesystem::path& path, uint64_t max_bytes) {
  const Descriptor file(path);
  std::string out;
  out.reserve(file.size());
  char buffer[1 << 16];
  while (true) {
    const ssize_t n = ::read(file.fd(), buffer, sizeof buffer);
    if (n < 0) {
      if (errno == EINTR) continue;
      throw_error(ErrorKind::io, path.string(), "cannot read: {}", std::strerror(errno));
    }
    if (n == 0) return out;
    out.append(buffer, static_cast<size_t>(n));
    if (out.size() > max_bytes) {
      throw_error(ErrorKind::bad_format, path.string(),
                  "larger than the {} bytes such a file may have", max_bytes);
    }
  }
}

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const Descriptor file(path);
  size_ = file.size();
  if (size_ == 0) return;
  void* p = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd(), 0);
  if (p == MAP_FAILED) {
    throw_error(ErrorKind::io, path.string(), "cannot map: {}", std::strerror(errno));
  }
  data_ = static_cast<const std::byte*>(p);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release_pages() const {
  if (data_ != nullptr) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)), stdout_(path_ == "-") {
  if (stdout_) {
    file_ = stdout;
    return;
  }
  temporary_ = path_;
  temporary_ += "." + std::to_string(::getpid()) + ".tmp";
  file_ = std::fopen(temporary_.c_str(), "wbe");
  if (file_ == nullptr) fail("create");
}

AtomicFile::~AtomicFile() {
  if (stdout_ || file_ == nullptr) return;
  std::fclose(file_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::fail(const char* action) {
  const int error = errno;
  throw_error(ErrorKind::io, stdout_ ? "stdout" : path_.string(), "cannot {}: {}", action,
              std::strerror(error));
}

void AtomicFile::write(std::string_view bytes) { write(bytes.data(), bytes.size()); }

void AtomicFile::write(const void* data, size_t size_bytes) {
  if (size_bytes != 0 && std::fwrite(data, 1, size_bytes, file_) != size_bytes) fail("write");
  size_bytes_ += size_bytes;
}

void AtomicFile::rewrite(uint64_t offset, std::string_view bytes) {
  AKIN_CHECK(!stdout_ && offset + bytes.size() <= size_bytes_);
  if (std::fseek(file_, static_cast<long>(offset), SEEK_SET) != 0 ||
      std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size() ||
      std::fseek(file_, 0, SEEK_END) != 0) {
    fail("write");
  }
}

void AtomicFile::commit() {
  if (std::fflush(file_) != 0) fail("write");
  if (stdout_) return;
  if (::fsync(::fileno(file_)) != 0) fail("write");
  const int closed = std::fclose(std::exchange(file_, nullptr));
  if (closed != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    errno = error;
    fail("write");
  }
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace akin
