// Files: whole reads, read-only maps, and writes that appear only when complete. No formats here
// (see store/).
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace akin {

// The whole file. Errors: not_found, io; bad_format if larger than max_bytes (a guard against
// hostile sizes).
std::string read_file(const std::filesystem::path& path, uint64_t max_bytes = uint64_t{1} << 32);

// A read-only map of a file. Movable; the bytes live as long as the object. Cost: no read until
// touched.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);  // Errors: not_found, io
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }
  // Gives the memory of pages read so far back to the system; they are read again when needed.
  void release_pages() const;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Writes to `<path>.<pid>.tmp` and renames in commit(); without commit() the temporary is removed,
// `path` untouched. Every write is checked: a full disk is Error(io), never a short file. Path "-"
// means stdout (no temporary).
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(std::string_view bytes);
  void write(const void* data, size_t size_bytes);
  void rewrite(uint64_t offset, std::string_view bytes);  // patch a header; not on stdout
  uint64_t size_bytes() const { return size_bytes_; }
  bool is_stdout() const { return stdout_; }
  void commit();  // flush, fsync, rename

 private:
  [[noreturn]] void fail(const char* action);
  std::filesystem::path path_, temporary_;
  std::FILE* file_ = nullptr;
  uint64_t size_bytes_ = 0;
  bool stdout_ = false;
};

void write_file(const std::filesystem::path& path,
                std::string_view bytes);  // AtomicFile in one call

}  // namespace akin
