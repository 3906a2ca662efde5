#include "eval/embedding_cache.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"

namespace akin::eval {
namespace {

constexpr std::array<char, 8> kFileMagic = {'A', 'K', 'I', 'N', 'V', 'E', 'C', '1'};
constexpr uint32_t kBlockMagic = 0x4B434C42;  // "BLCK"
constexpr size_t kMaxBlockRows = size_t{1} << 20;

struct FileHeader {
  std::array<char, 8> magic = kFileMagic;
  uint32_t dim = 0;
  uint32_t reserved = 0;
};

// Followed by count keys and count * dim floats.
struct BlockHeader {
  uint32_t magic = kBlockMagic;
  uint32_t count = 0;
  uint64_t keys_hash = 0;  // of count and keys
  uint64_t data_hash = 0;  // of the floats
};

struct KeyHash {
  size_t operator()(const EmbeddingKey& key) const { return key.low; }
};

std::string_view bytes_of(const void* data, size_t size) {
  return {static_cast<const char*>(data), size};
}

uint64_t hash_keys(const void* keys, size_t count) {
  return hash64(bytes_of(keys, count * sizeof(EmbeddingKey)), count);
}

}  // namespace

EmbeddingKeys::EmbeddingKeys(std::string_view prompt, std::string_view adapter)
    : seed_low_(hash64(adapter, hash64(prompt, 1))),
      seed_high_(hash64(adapter, hash64(prompt, 2)) ^ 0x9E3779B97F4A7C15ULL) {}

EmbeddingKey EmbeddingKeys::key(std::string_view text) const {
  return {hash64(text, seed_low_), hash64(text, seed_high_)};
}

struct EmbeddingCache::State {
  // A block of a segment on disk, or of the one that this process writes (map is null).
  struct Block {
    const std::byte* data = nullptr;  // of a mapped segment
    uint64_t offset = 0;              // of the floats, in the own segment
    uint64_t data_hash = 0;
    uint32_t count = 0;
    bool checked = false, bad = false;
  };
  struct Place {
    uint32_t block = 0, row = 0;
  };

  std::filesystem::path folder;
  size_t dim = 0;
  std::vector<MappedFile> maps;
  std::vector<Block> blocks;
  std::unordered_map<EmbeddingKey, Place, KeyHash> places;
  uint64_t damaged = 0;
  std::filesystem::path own_path;
  int own = -1;
  uint64_t own_size = 0;

  ~State() {
    if (own >= 0) ::close(own);
  }
  void read_segment(const std::filesystem::path& path);
  bool read_block(std::span<const std::byte> bytes, size_t& at);
  void open_own();
  void write_own(const void* data, size_t size);
  [[noreturn]] void fail(const char* action) const;
};

void EmbeddingCache::State::fail(const char* action) const {
  throw_error(ErrorKind::io, own_path.string(),
              "cannot {} the embedding cache: {}; {}, or run without the cache (--no-cache)",
              action, std::strerror(errno),
              errno == ENOSPC || errno == EDQUOT ? "free some space" : "choose another --out");
}

bool EmbeddingCache::State::read_block(std::span<const std::byte> bytes, size_t& at) {
  BlockHeader header;
  if (bytes.size() - at < sizeof(header)) return false;
  std::memcpy(&header, bytes.data() + at, sizeof(header));
  if (header.magic != kBlockMagic || header.count == 0 || header.count > kMaxBlockRows) {
    return false;
  }
  const uint64_t keys_size = uint64_t{header.count} * sizeof(EmbeddingKey);
  const uint64_t data_size = uint64_t{header.count} * dim * sizeof(float);
  if (bytes.size() - at - sizeof(header) < keys_size + data_size) return false;
  const std::byte* keys = bytes.data() + at + sizeof(header);
  if (hash_keys(keys, header.count) != header.keys_hash) return false;
  const auto number = static_cast<uint32_t>(blocks.size());
  blocks.push_back({keys + keys_size, 0, header.data_hash, header.count});
  for (uint32_t row = 0; row < header.count; ++row) {
    EmbeddingKey key;
    std::memcpy(&key, keys + row * sizeof(key), sizeof(key));
    places.insert_or_assign(key, Place{number, row});  // a later one was written for a damaged one
  }
  at += sizeof(header) + keys_size + data_size;
  return true;
}

void EmbeddingCache::State::read_segment(const std::filesystem::path& path) {
  MappedFile map(path);
  const auto bytes = map.bytes();
  FileHeader header;
  if (bytes.size() < sizeof(header)) return;  // killed before the first block
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.magic != kFileMagic || header.dim != dim) {
    ++damaged;
    return;
  }
  size_t at = sizeof(header);
  while (at < bytes.size()) {
    if (!read_block(bytes, at)) {
      ++damaged;
      break;
    }
  }
  maps.push_back(std::move(map));
}

void EmbeddingCache::State::open_own() {
  for (int number = 0; number < 1000000; ++number) {
    own_path = folder / fmt::format("{:06}.vectors", number);
    own = ::open(own_path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (own >= 0 || errno != EEXIST) break;
  }
  if (own < 0) fail("create a file of");
  FileHeader header;
  header.dim = static_cast<uint32_t>(dim);
  write_own(&header, sizeof(header));
}

void EmbeddingCache::State::write_own(const void* data, size_t size) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::pwrite(own, bytes, size, static_cast<off_t>(own_size));
    if (written < 0) {
      if (errno == EINTR) continue;
      fail("write to");
    }
    bytes += written;
    size -= static_cast<size_t>(written);
    own_size += static_cast<uint64_t>(written);
  }
}

EmbeddingCache::EmbeddingCache(const std::filesystem::path& root, const std::string& fingerprint,
                               size_t dim)
    : state_(std::make_unique<State>()) {
  state_->folder = root / fingerprint;
  state_->own_path = state_->folder;
  state_->dim = dim;
  std::error_code error;
  std::filesystem::create_directories(state_->folder, error);
  if (error) {
    errno = error.value();
    state_->fail("make the folder of");
  }
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(state_->folder)) {
    if (entry.is_regular_file() && entry.path().extension() == ".vectors") {
      paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    if (std::filesystem::file_size(path) > 0) state_->read_segment(path);
  }
}

EmbeddingCache::~EmbeddingCache() = default;

size_t EmbeddingCache::dim() const { return state_->dim; }
size_t EmbeddingCache::size() const { return state_->places.size(); }
uint64_t EmbeddingCache::damaged_blocks() const { return state_->damaged; }

bool EmbeddingCache::find(const EmbeddingKey& key, float* out) {
  State& s = *state_;
  const auto it = s.places.find(key);
  if (it == s.places.end()) return false;
  State::Block& block = s.blocks[it->second.block];
  const size_t row_size = s.dim * sizeof(float);
  if (block.data == nullptr) {
    const auto at = static_cast<off_t>(block.offset + it->second.row * row_size);
    return ::pread(s.own, out, row_size, at) == static_cast<ssize_t>(row_size);
  }
  if (!block.checked) {
    block.checked = true;
    block.bad = hash64(bytes_of(block.data, block.count * row_size)) != block.data_hash;
    if (block.bad) ++s.damaged;
  }
  if (block.bad) {
    s.places.erase(it);
    return false;
  }
  std::memcpy(out, block.data + it->second.row * row_size, row_size);
  return true;
}

void EmbeddingCache::add(std::span<const EmbeddingKey> keys, MatView<const float> vectors) {
  State& s = *state_;
  AKIN_CHECK(keys.size() == vectors.rows() && vectors.cols() == s.dim &&
             vectors.stride() == s.dim && keys.size() <= kMaxBlockRows);
  if (keys.empty()) return;
  if (s.own < 0) s.open_own();
  BlockHeader header;
  header.count = static_cast<uint32_t>(keys.size());
  header.keys_hash = hash_keys(keys.data(), keys.size());
  const size_t data_size = keys.size() * s.dim * sizeof(float);
  header.data_hash = hash64(bytes_of(vectors.data(), data_size));
  s.write_own(&header, sizeof(header));
  s.write_own(keys.data(), keys.size_bytes());
  const uint64_t offset = s.own_size;
  s.write_own(vectors.data(), data_size);
  const auto number = static_cast<uint32_t>(s.blocks.size());
  s.blocks.push_back({nullptr, offset, header.data_hash, header.count, true, false});
  for (uint32_t row = 0; row < header.count; ++row) {
    s.places.try_emplace(keys[row], State::Place{number, row});
  }
}

}  // namespace akin::eval
