// See first_keys.h. The spill is a row of chunks of one size, each of one partition; where they lie
// is held in memory (8 bytes for 512 keys). The bits are a shared map of a file whose space has
// been reserved, so that a full disk is an error and not a signal.
#include "data/first_keys.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/progress.h"

namespace akin::data {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const fs::path& path, const char* action, int error) {
  throw_error(ErrorKind::io, path.string(), "cannot {}: {}", action, std::strerror(error));
}

uint64_t words_for(uint64_t rows) { return rows / 64 + 1; }

// A new file of zeros, mapped for writing; renamed into place by commit().
class BitFile {
 public:
  BitFile(fs::path path, uint64_t words)
      : path_(std::move(path)), temporary_(path_), bytes_(words * sizeof(uint64_t)) {
    temporary_ += ".tmp";
    fd_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd_ < 0) fail(temporary_, "create", errno);
    if (const int error = ::posix_fallocate(fd_, 0, static_cast<off_t>(bytes_)); error != 0) {
      ::close(fd_);
      ::unlink(temporary_.c_str());
      fail(temporary_, "reserve space", error);
    }
    map_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (map_ == MAP_FAILED) {
      const int error = errno;
      ::close(fd_);
      ::unlink(temporary_.c_str());
      fail(temporary_, "map", error);
    }
  }
  ~BitFile() {
    ::munmap(map_, bytes_);
    ::close(fd_);
    if (!committed_) ::unlink(temporary_.c_str());
  }
  BitFile(const BitFile&) = delete;
  BitFile& operator=(const BitFile&) = delete;

  std::atomic<uint64_t>* words() { return static_cast<std::atomic<uint64_t>*>(map_); }
  void commit() {
    if (::msync(map_, bytes_, MS_SYNC) != 0 || ::fsync(fd_) != 0) fail(temporary_, "write", errno);
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_, "rename", errno);
    committed_ = true;
  }

 private:
  const fs::path path_;
  fs::path temporary_;
  const uint64_t bytes_;
  int fd_ = -1;
  void* map_ = nullptr;
  bool committed_ = false;
};
static_assert(sizeof(std::atomic<uint64_t>) == sizeof(uint64_t));
static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(std::endian::native == std::endian::little, "bits are read byte by byte");

}  // namespace

FirstKeys::FirstKeys(fs::path spill)
    : spill_(std::move(spill)),
      fd_(::open(spill_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)),
      buffers_(kPartitions),
      index_(kPartitions) {
  if (fd_ < 0) fail(spill_, "create", errno);
}

FirstKeys::~FirstKeys() {
  ::close(fd_);
  ::unlink(spill_.c_str());
}

void FirstKeys::add(const RecordKey& key) {
  const size_t partition = key.high >> (64 - kPartitionBits);
  auto& buffer = buffers_[partition];
  if (buffer.capacity() == 0) buffer.reserve(kChunkEntries);
  buffer.push_back({key.high, key.low, rows_++});
  if (buffer.size() == kChunkEntries) flush(partition);
}

void FirstKeys::flush(size_t partition) {
  auto& buffer = buffers_[partition];
  if (buffer.empty()) return;
  const char* bytes = reinterpret_cast<const char*>(buffer.data());
  size_t left = buffer.size() * sizeof(Entry);
  auto at = static_cast<off_t>(uint64_t{chunks_} * kChunkEntries * sizeof(Entry));
  while (left > 0) {
    const ssize_t n = ::pwrite(fd_, bytes, left, at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(spill_, "write", n == 0 ? ENOSPC : errno);
    bytes += n;
    at += n;
    left -= static_cast<size_t>(n);
  }
  index_[partition].push_back({chunks_++, static_cast<uint32_t>(buffer.size())});
  buffer.clear();
}

std::vector<FirstKeys::Entry> FirstKeys::read(size_t partition) const {
  size_t total = 0;
  for (const Chunk& chunk : index_[partition]) total += chunk.entries;
  std::vector<Entry> out(total);
  char* to = reinterpret_cast<char*>(out.data());
  for (const Chunk& chunk : index_[partition]) {
    auto at = static_cast<off_t>(uint64_t{chunk.number} * kChunkEntries * sizeof(Entry));
    size_t left = chunk.entries * sizeof(Entry);
    while (left > 0) {
      const ssize_t n = ::pread(fd_, to, left, at);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) fail(spill_, "read", n == 0 ? EIO : errno);
      to += n;
      at += n;
      left -= static_cast<size_t>(n);
    }
  }
  return out;
}

uint64_t FirstKeys::mark(size_t partition, std::atomic<uint64_t>* words) const {
  auto entries = read(partition);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.high, a.low, a.row) < std::tie(b.high, b.low, b.row);
  });
  uint64_t repeats = 0;
  for (size_t i = 1; i < entries.size(); ++i) {
    const Entry &entry = entries[i], &before = entries[i - 1];
    if (entry.high != before.high || entry.low != before.low) continue;
    words[entry.row / 64].fetch_or(uint64_t{1} << entry.row % 64, std::memory_order_relaxed);
    ++repeats;
  }
  return repeats;
}

uint64_t FirstKeys::mark_repeats(const fs::path& bits, ThreadPool& pool) {
  for (size_t partition = 0; partition < kPartitions; ++partition) flush(partition);
  BitFile file(bits, words_for(rows_));
  std::atomic<uint64_t> repeats{0};
  parallel_for(pool, kPartitions, 1, [&](size_t partition, size_t) {
    check_interrupted();
    repeats += mark(partition, file.words());
  });
  file.commit();
  return repeats;
}

RepeatBits::RepeatBits(const fs::path& path) : file_(path) {}

bool RepeatBits::repeated(uint64_t row) const {
  const auto bytes = file_.bytes();
  if (row / 8 >= bytes.size()) {
    throw_error(ErrorKind::bad_format, file_.path().string(),
                "the file is shorter than the records that it speaks of; remove the work folder "
                "and start again");
  }
  return (std::to_integer<unsigned>(bytes[row / 8]) >> row % 8 & 1U) != 0;
}

}  // namespace akin::data
