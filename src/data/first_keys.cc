// See first_keys.h. The spill is a row of chunks of one size, each of one partition; where they lie
// is held in memory (8 bytes for 512 keys). Signatures lie behind one another in a file of their
// own and are read where keys meet, which is seldom. The bits are a shared map of a file whose
// space has been reserved, so that a full disk is an error and not a signal.
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

void write_at(int fd, const void* data, size_t size, uint64_t offset, const fs::path& path) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::pwrite(fd, bytes, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(path, "write", n == 0 ? ENOSPC : errno);
    bytes += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
}
void read_at(int fd, void* data, size_t size, uint64_t offset, const fs::path& path) {
  char* bytes = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t n = ::pread(fd, bytes, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(path, "read", n == 0 ? EIO : errno);
    bytes += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
}
int create(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) fail(path, "create", errno);
  return fd;
}

// 1 when the bit was not set before.
uint64_t set_bit(std::atomic<uint64_t>* words, uint64_t row) {
  const uint64_t bit = uint64_t{1} << row % 64;
  return (words[row / 64].fetch_or(bit, std::memory_order_relaxed) & bit) == 0 ? 1 : 0;
}

}  // namespace

// Signatures of one length, by row; removed with the object.
class SignatureFile {
 public:
  SignatureFile(fs::path path, size_t bytes)
      : path_(std::move(path)), bytes_(bytes), fd_(create(path_)) {}
  ~SignatureFile() {
    ::close(fd_);
    ::unlink(path_.c_str());
  }
  SignatureFile(const SignatureFile&) = delete;
  SignatureFile& operator=(const SignatureFile&) = delete;

  void add(std::string_view signature) {
    AKIN_CHECK(signature.size() == bytes_);
    buffer_ += signature;
    if (buffer_.size() >= kBuffer) flush();
  }
  void flush() {
    write_at(fd_, buffer_.data(), buffer_.size(), written_, path_);
    written_ += buffer_.size();
    buffer_.clear();
  }
  void read(uint64_t row, std::string& out) const {
    out.resize(bytes_);
    read_at(fd_, out.data(), bytes_, row * bytes_, path_);
  }

 private:
  static constexpr size_t kBuffer = size_t{1} << 20;
  const fs::path path_;
  const size_t bytes_;
  int fd_;
  uint64_t written_ = 0;
  std::string buffer_;
};

struct FirstKeys::Entry {
  uint64_t high, low, row;
};
struct FirstKeys::ShortEntry {
  uint64_t key, row;
};

FirstKeys::FirstKeys(fs::path spill, const FilterPlan& plan, Alike alike)
    : spill_(std::move(spill)),
      plan_(plan),
      alike_(std::move(alike)),
      fd_(create(spill_)),
      buffers_(kPartitions),
      index_(kPartitions) {
  if (plan_.signature_bytes > 0) {
    fs::path path = spill_;
    path += ".signatures";
    signatures_ = std::make_unique<SignatureFile>(std::move(path), plan_.signature_bytes);
  }
  AKIN_CHECK(signatures_ != nullptr ? static_cast<bool>(alike_) : plan_.keys == 1);
}

FirstKeys::~FirstKeys() {
  ::close(fd_);
  ::unlink(spill_.c_str());
}

size_t FirstKeys::entry_bytes() const {
  return signatures_ != nullptr ? sizeof(ShortEntry) : sizeof(Entry);
}

void FirstKeys::add(std::span<const RecordKey> keys, std::string_view signature) {
  AKIN_CHECK(keys.size() == plan_.keys);
  for (const RecordKey& key : keys) {
    const size_t partition = key.high >> (64 - kPartitionBits);
    auto& buffer = buffers_[partition];
    const size_t full = kChunkEntries * entry_bytes() / sizeof(uint64_t);
    if (buffer.capacity() == 0) buffer.reserve(full);
    buffer.push_back(key.high);
    if (signatures_ == nullptr) buffer.push_back(key.low);
    buffer.push_back(rows_);
    if (buffer.size() == full) flush(partition);
  }
  if (signatures_ != nullptr) signatures_->add(signature);
  ++rows_;
}

void FirstKeys::flush(size_t partition) {
  auto& buffer = buffers_[partition];
  if (buffer.empty()) return;
  const size_t bytes = buffer.size() * sizeof(uint64_t);
  write_at(fd_, buffer.data(), bytes, uint64_t{chunks_} * kChunkEntries * entry_bytes(), spill_);
  index_[partition].push_back({chunks_++, static_cast<uint32_t>(bytes / entry_bytes())});
  buffer.clear();
}

template <typename E>
std::vector<E> FirstKeys::read(size_t partition) const {
  size_t total = 0;
  for (const Chunk& chunk : index_[partition]) total += chunk.entries;
  std::vector<E> out(total);
  size_t at = 0;
  for (const Chunk& chunk : index_[partition]) {
    read_at(fd_, out.data() + at, chunk.entries * sizeof(E),
            uint64_t{chunk.number} * kChunkEntries * sizeof(E), spill_);
    at += chunk.entries;
  }
  return out;
}

uint64_t FirstKeys::mark_equal(size_t partition, std::atomic<uint64_t>* words) const {
  auto entries = read<Entry>(partition);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.high, a.low, a.row) < std::tie(b.high, b.low, b.row);
  });
  uint64_t repeats = 0;
  for (size_t i = 1; i < entries.size(); ++i) {
    const Entry &entry = entries[i], &before = entries[i - 1];
    if (entry.high != before.high || entry.low != before.low) continue;
    repeats += set_bit(words, entry.row);
  }
  return repeats;
}

// A row that an other partition has marked is compared all the same, so that the result does not
// hang on the order of partitions.
uint64_t FirstKeys::mark_alike(size_t partition, std::atomic<uint64_t>* words) const {
  auto entries = read<ShortEntry>(partition);
  std::sort(entries.begin(), entries.end(), [](const ShortEntry& a, const ShortEntry& b) {
    return std::tie(a.key, a.row) < std::tie(b.key, b.row);
  });
  uint64_t repeats = 0;
  std::vector<std::string> leaders;
  std::string signature;
  for (size_t begin = 0, end = 0; begin < entries.size(); begin = end) {
    for (end = begin + 1; end < entries.size() && entries[end].key == entries[begin].key;) ++end;
    if (end - begin < 2) continue;
    leaders.clear();
    for (size_t i = begin; i < end; ++i) {
      if (i > begin && entries[i].row == entries[i - 1].row) continue;
      signatures_->read(entries[i].row, signature);
      if (std::any_of(leaders.begin(), leaders.end(),
                      [&](const std::string& leader) { return alike_(leader, signature); })) {
        repeats += set_bit(words, entries[i].row);
      } else if (leaders.size() < kLeaders) {
        leaders.push_back(signature);
      }
    }
  }
  return repeats;
}

uint64_t FirstKeys::mark_repeats(const fs::path& bits, ThreadPool& pool) {
  for (size_t partition = 0; partition < kPartitions; ++partition) flush(partition);
  if (signatures_ != nullptr) signatures_->flush();
  BitFile file(bits, words_for(rows_));
  std::atomic<uint64_t> repeats{0};
  parallel_for(pool, kPartitions, 1, [&](size_t partition, size_t) {
    check_interrupted();
    repeats += signatures_ != nullptr ? mark_alike(partition, file.words())
                                      : mark_equal(partition, file.words());
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
