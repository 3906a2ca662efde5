// See zip_entries.h. Every offset and size is foreign: all are checked against the bytes at hand.
#include "store/zip_entries.h"

#include <algorithm>
#include <cstdint>

#include "base/error.h"

namespace akin::store {
namespace {

using Bytes = std::span<const std::byte>;

constexpr uint32_t kLocalSignature = 0x04034B50, kCentralSignature = 0x02014B50;
constexpr uint32_t kEndSignature = 0x06054B50;
constexpr uint32_t kEnd64Signature = 0x06064B50, kEnd64LocatorSignature = 0x07064B50;
constexpr size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22;
constexpr size_t kEnd64Bytes = 56, kEnd64LocatorBytes = 20;

uint64_t little(Bytes bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= std::to_integer<uint64_t>(bytes[at + i]) << (8 * i);
  return value;
}
uint16_t u16(Bytes bytes, size_t at) { return static_cast<uint16_t>(little(bytes, at, 2)); }
uint32_t u32(Bytes bytes, size_t at) { return static_cast<uint32_t>(little(bytes, at, 4)); }
uint64_t u64(Bytes bytes, size_t at) { return little(bytes, at, 8); }

std::string_view text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ZipReader {
 public:
  ZipReader(Bytes bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  std::map<std::string, Bytes, std::less<>> read() {
    find_directory();
    std::map<std::string, Bytes, std::less<>> out;
    Bytes directory = at(directory_offset_, directory_size_, "the central directory");
    for (uint64_t i = 0; i < entries_; ++i) {
      const auto [name, data] = read_entry(directory);
      if (!out.emplace(name, data).second) fail("has entry {} twice", quote(name));
    }
    return out;
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw_error(ErrorKind::bad_format, where_, "zip archive {}; the file is damaged, get it again",
                fmt::format(format, std::forward<Args>(args)...));
  }

  Bytes at(uint64_t offset, uint64_t size, std::string_view what) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) {
      fail("says that {} lies at {} with {} bytes, but the file has {}", what, offset, size,
           bytes_.size());
    }
    return bytes_.subspan(offset, size);
  }

  void find_directory() {
    if (bytes_.size() < kEndBytes) fail("has only {} bytes", bytes_.size());
    const size_t lowest = bytes_.size() - std::min<size_t>(bytes_.size(), kEndBytes + 0xFFFF);
    size_t end = bytes_.size() - kEndBytes;
    while (u32(bytes_, end) != kEndSignature) {
      if (end == lowest) fail("has no end-of-directory record (cut short?)");
      --end;
    }
    entries_ = u16(bytes_, end + 10);
    directory_size_ = u32(bytes_, end + 12);
    directory_offset_ = u32(bytes_, end + 16);
    if (end >= kEnd64LocatorBytes &&
        u32(bytes_, end - kEnd64LocatorBytes) == kEnd64LocatorSignature) {
      const Bytes record =
          at(u64(bytes_, end - kEnd64LocatorBytes + 8), kEnd64Bytes, "the zip64 end record");
      if (u32(record, 0) != kEnd64Signature) fail("has a zip64 end record of the wrong signature");
      entries_ = u64(record, 32);
      directory_size_ = u64(record, 40);
      directory_offset_ = u64(record, 48);
    }
    if (entries_ > directory_size_ / kCentralBytes) {
      fail("says that it has {} entries in a directory of {} bytes", entries_, directory_size_);
    }
  }

  struct Sizes {
    uint64_t packed, plain, offset;
  };

  // The zip64 extra field holds, in this order, those of the three that are all ones in the entry.
  void apply_zip64(Bytes extra, Sizes& sizes, std::string_view name) const {
    while (extra.size() >= 4) {
      const uint16_t id = u16(extra, 0), size = u16(extra, 2);
      if (size > extra.size() - 4) fail("has a broken extra field in {}", quote(name));
      if (id == 1) {
        const Bytes field = extra.subspan(4, size);
        size_t position = 0;
        for (uint64_t* value : {&sizes.plain, &sizes.packed, &sizes.offset}) {
          if (*value != 0xFFFFFFFFU) continue;
          if (position + 8 > field.size()) fail("has a short zip64 field in {}", quote(name));
          *value = u64(field, position);
          position += 8;
        }
        return;
      }
      extra = extra.subspan(4 + size_t{size});
    }
  }

  std::pair<std::string_view, Bytes> read_entry(Bytes& directory) const {
    if (directory.size() < kCentralBytes || u32(directory, 0) != kCentralSignature) {
      fail("has a broken central directory");
    }
    const uint16_t flags = u16(directory, 8), method = u16(directory, 10);
    const size_t name_size = u16(directory, 28), extra_size = u16(directory, 30);
    const size_t entry_size = kCentralBytes + name_size + extra_size + u16(directory, 32);
    if (entry_size > directory.size()) fail("has a broken central directory");
    const std::string_view name = text(directory.subspan(kCentralBytes, name_size));
    Sizes sizes{u32(directory, 20), u32(directory, 24), u32(directory, 42)};
    apply_zip64(directory.subspan(kCentralBytes + name_size, extra_size), sizes, name);
    if (method != 0 || (flags & 1U) != 0) {
      throw_error(ErrorKind::unsupported, where_,
                  "has entry {} {}; akin reads archives as torch.save writes them, not packed",
                  quote(name), (flags & 1U) != 0 ? "encrypted" : "compressed");
    }
    if (sizes.packed != sizes.plain) {
      fail("has entry {} of {} bytes stored as {}", quote(name), sizes.plain, sizes.packed);
    }
    const Bytes local = at(sizes.offset, kLocalBytes, name);
    if (u32(local, 0) != kLocalSignature || u16(local, 26) != name_size) {
      fail("has no entry {} where its directory says", quote(name));
    }
    const uint64_t data = sizes.offset + kLocalBytes + name_size + u16(local, 28);
    if (text(at(sizes.offset + kLocalBytes, name_size, name)) != name) {
      fail("names entry {} differently in its directory", quote(name));
    }
    const Bytes content = at(data, sizes.plain, name);
    directory = directory.subspan(entry_size);
    return {name, content};
  }

  const Bytes bytes_;
  const std::string& where_;
  uint64_t entries_ = 0, directory_size_ = 0, directory_offset_ = 0;
};

}  // namespace

bool looks_like_zip(std::span<const std::byte> bytes) {
  return bytes.size() >= 4 && u32(bytes, 0) == kLocalSignature;
}

std::map<std::string, std::span<const std::byte>, std::less<>> read_zip_entries(
    std::span<const std::byte> bytes, const std::string& where) {
  return ZipReader(bytes, where).read();
}

}  // namespace akin::store
