#include "index/code_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "base/hash.h"

namespace akin::index {
namespace {

// All that a head says; little-endian, as everything here. A checksum tells a torn or foreign head
// from one of ours that another spec wrote.
struct Head {
  char magic[8] = {'a', 'k', 'i', 'n', 'v', 'e', 'c', '1'};
  uint32_t code = 0, unit = 0;
  uint64_t dims = 0, stride = 0;
  uint8_t reserved[24] = {};
  uint64_t checksum = 0;
};
static_assert(sizeof(Head) == CodeFile::kHeadBytes);

uint64_t checksum(const Head& head) {
  return hash64({reinterpret_cast<const char*>(&head), offsetof(Head, checksum)});
}

Head make_head(const CodeSpec& spec, bool unit) {
  Head head;
  head.code = static_cast<uint32_t>(spec.code);
  head.unit = unit ? 1 : 0;
  head.dims = spec.dims;
  head.stride = row_bytes(spec.code, spec.dims);
  head.checksum = checksum(head);
  return head;
}

bool write_all(int file, const void* data, size_t size, uint64_t offset) {
  const auto* at = static_cast<const uint8_t*>(data);
  while (size > 0) {
    const ssize_t n = ::pwrite(file, at, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) {
      errno = ENOSPC;
      return false;
    }
    at += n;
    size -= static_cast<size_t>(n);
    offset += static_cast<uint64_t>(n);
  }
  return true;
}

void check_head(const Head& got, const CodeSpec& spec, bool unit,
                const std::filesystem::path& path) {
  const Head wanted = make_head(spec, unit);
  if (std::memcmp(got.magic, wanted.magic, sizeof got.magic) != 0 ||
      got.checksum != checksum(got)) {
    throw_error(ErrorKind::bad_format, path.string(),
                "not a file of vectors of this program, or a damaged one; restore it or build the "
                "index again");
  }
  if (std::memcmp(&got, &wanted, sizeof got) == 0) return;
  const bool known = got.code < choices(Code{}).size();
  throw_error(ErrorKind::bad_format, path.string(),
              "holds {} of {} dims{}, expected {} of {}{}; the folder mixes two indexes",
              known ? choices(Code{})[got.code] : "an unknown code", got.dims,
              got.unit != 0 ? ", prefixes of unit length" : "", code_name(spec.code), spec.dims,
              unit ? ", prefixes of unit length" : "");
}

}  // namespace

void sync_folder(const std::filesystem::path& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool good = file >= 0 && ::fsync(file) == 0;
  const int error = errno;
  if (file >= 0) ::close(file);
  if (!good) throw_error(ErrorKind::io, folder.string(), "cannot sync: {}", std::strerror(error));
}

CodeFile::~CodeFile() {
  if (map_ != nullptr) ::munmap(map_, mapped_bytes_);
  if (file_ >= 0) ::close(file_);
}

CodeFile::CodeFile(CodeFile&& other) noexcept { *this = std::move(other); }

CodeFile& CodeFile::operator=(CodeFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(spec_, other.spec_);
  std::swap(stride_, other.stride_);
  std::swap(rows_, other.rows_);
  std::swap(end_, other.end_);
  std::swap(file_, other.file_);
  std::swap(map_, other.map_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  return *this;
}

void CodeFile::fail(const char* action) const {
  throw_error(ErrorKind::io, path_.string(), "cannot {}: {}", action, std::strerror(errno));
}

CodeFile CodeFile::create(const std::filesystem::path& path, const CodeSpec& spec, bool unit) {
  CodeFile out;
  out.path_ = path;
  out.spec_ = spec;
  out.stride_ = row_bytes(spec.code, spec.dims);
  out.file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (out.file_ < 0 && errno == EEXIST) {
    throw_error(ErrorKind::usage, path.string(), "is there already; open the index instead");
  }
  if (out.file_ < 0) out.fail("create");
  const Head head = make_head(spec, unit);
  if (!write_all(out.file_, &head, sizeof head, 0)) {
    const int error = errno;
    ::unlink(path.c_str());
    errno = error;
    out.fail("write");
  }
  out.end_ = kHeadBytes;
  out.sync();
  out.map(0);
  return out;
}

CodeFile CodeFile::open(const std::filesystem::path& path, const CodeSpec& spec, bool unit,
                        size_t rows, bool writable) {
  CodeFile out;
  out.path_ = path;
  out.spec_ = spec;
  out.stride_ = row_bytes(spec.code, spec.dims);
  out.file_ = ::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (out.file_ < 0) {
    throw_error(errno == ENOENT ? ErrorKind::not_found : ErrorKind::io, path.string(),
                "cannot open: {}", std::strerror(errno));
  }
  struct stat status {};
  if (::fstat(out.file_, &status) != 0) out.fail("stat");
  const auto size = static_cast<uint64_t>(status.st_size);
  Head head;
  if (!S_ISREG(status.st_mode) || size < kHeadBytes ||
      ::pread(out.file_, &head, sizeof head, 0) != static_cast<ssize_t>(sizeof head)) {
    throw_error(ErrorKind::bad_format, path.string(), "{} bytes, too short for a head of {}", size,
                kHeadBytes);
  }
  check_head(head, spec, unit, path);
  if (rows > (size - kHeadBytes) / out.stride_) {
    throw_error(ErrorKind::bad_format, path.string(),
                "holds {} rows, the index says {}; the file was cut, restore it or build the index "
                "again",
                (size - kHeadBytes) / out.stride_, rows);
  }
  out.end_ = out.bytes_of(rows);
  if (writable && size > out.end_) {
    if (::ftruncate(out.file_, static_cast<off_t>(out.end_)) != 0) out.fail("cut");
    out.sync();
  }
  out.map(rows);
  return out;
}

void CodeFile::map(size_t rows) {
  const uint64_t bytes = bytes_of(rows);
  if (bytes > std::numeric_limits<size_t>::max() / 2) {
    errno = ENOMEM;
    fail("map");
  }
  if (map_ == nullptr) {
    void* at = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file_, 0);
    if (at == MAP_FAILED) fail("map");
    map_ = static_cast<uint8_t*>(at);
  } else if (bytes != mapped_bytes_) {
    void* at = ::mremap(map_, mapped_bytes_, bytes, MREMAP_MAYMOVE);
    if (at == MAP_FAILED) fail("map");
    map_ = static_cast<uint8_t*>(at);
  }
  mapped_bytes_ = bytes;
  rows_ = rows;
}

void CodeFile::write(std::span<const uint8_t> rows) {
  if (!write_all(file_, rows.data(), rows.size(), end_)) fail("write");
  end_ += rows.size();
}

void CodeFile::sync() {
  if (::fdatasync(file_) != 0) fail("sync");
}

void CodeFile::accept(size_t rows) {
  AKIN_CHECK(bytes_of(rows) == end_);
  map(rows);
}

void CodeFile::withdraw(size_t rows) noexcept {
  end_ = bytes_of(rows);
  rows_ = std::min(rows_, rows);
  // A failure is harmless: the next rows are written over what is left, and opening cuts it.
  if (::ftruncate(file_, static_cast<off_t>(end_)) != 0) return;
}

}  // namespace akin::index
