// One file of rows under one code: a 64-byte head, then rows back to back; mapped for reading,
// appended to by at most one process. Internal to index/: vector_store.h keeps several in step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "index/vector_store.h"

namespace akin::index {

// Makes new names in a folder durable. Errors: io.
void sync_folder(const std::filesystem::path& folder);

class CodeFile {
 public:
  static constexpr size_t kHeadBytes = 64;

  CodeFile() = default;
  ~CodeFile();
  CodeFile(CodeFile&& other) noexcept;
  CodeFile& operator=(CodeFile&& other) noexcept;
  CodeFile(const CodeFile&) = delete;
  CodeFile& operator=(const CodeFile&) = delete;

  // A new, empty file. Errors: usage, there is one; io.
  static CodeFile create(const std::filesystem::path& path, const CodeSpec& spec, bool unit);
  // Maps the first `rows` rows; writable: cuts what lies behind them. Errors: not_found;
  // bad_format, a foreign head, another spec, or too few rows; io.
  static CodeFile open(const std::filesystem::path& path, const CodeSpec& spec, bool unit,
                       size_t rows, bool writable);

  // Bytes behind the last row, in the file but not yet among the rows. Errors: io.
  void write(std::span<const uint8_t> rows);
  void sync();
  // What was written becomes rows; the map grows. Errors: io.
  void accept(size_t rows);
  // Forgets what was written behind `rows` and cuts the file there; never throws.
  void withdraw(size_t rows) noexcept;

  const CodeSpec& spec() const { return spec_; }
  size_t stride() const { return stride_; }
  size_t rows() const { return rows_; }
  // The first row; kHeadBytes before it may be read.
  const uint8_t* data() const { return map_ + kHeadBytes; }

 private:
  void map(size_t rows);
  [[noreturn]] void fail(const char* action) const;
  uint64_t bytes_of(size_t rows) const { return kHeadBytes + uint64_t{rows} * stride_; }

  std::filesystem::path path_;
  CodeSpec spec_;
  size_t stride_ = 0, rows_ = 0;
  uint64_t end_ = 0;  // of what was written
  int file_ = -1;
  uint8_t* map_ = nullptr;
  size_t mapped_bytes_ = 0;
};

}  // namespace akin::index
