// Records between two stages of a chain, on disk in blocks. Lives in the work folder of one run;
// not for exchange. Memory: one block.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"

namespace akin::data {

class WorkFileWriter {
 public:
  explicit WorkFileWriter(const std::filesystem::path& path) : file_(path) {}
  void write(uint32_t records, std::string_view packed);
  void commit() { file_.commit(); }

 private:
  AtomicFile file_;
};

class WorkFileReader {
 public:
  // Errors: not_found, io.
  explicit WorkFileReader(const std::filesystem::path& path);
  // One block as it was written; false at the end. Errors: io, bad_format.
  bool next(uint32_t& records, std::string& packed);
  const std::string& where() const { return where_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string where_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace akin::data
