// Texts on disk, one behind another, mapped once all are there: what keeps a corpus of any size out
// of the heap. Not a format for exchange; the file goes with the object.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace akin::mine {

// Memory: 8 bytes a text. Reading is thread-safe once close() has been called.
class TextFile {
 public:
  // Errors: io.
  explicit TextFile(std::filesystem::path path);
  ~TextFile();
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;

  // Its number. Errors: io (disk full).
  uint32_t add(std::string_view bytes);
  void close();  // no more are added
  std::string_view operator[](uint32_t number) const;
  size_t size() const { return ends_.size(); }
  void release_pages() const;

 private:
  std::filesystem::path path_;
  std::unique_ptr<AtomicFile> writer_;
  MappedFile file_;
  std::vector<uint64_t> ends_;
};

}  // namespace akin::mine
