// The file of a graph: what it holds, written aside and renamed, checked bound by bound when read.
// Knows nothing of hnswlib. Internal to index/: see hnsw.h.
//
// A 128-byte head, then: levels, one byte a row; links of the ground level, [rows][1 + 2 M] words
// (a count, then row numbers, zeros behind them); links of the levels above, row by row and level
// by level, [1 + M] words each; vectors, [rows][dims] f32. Little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/file.h"
#include "index/hnsw.h"

namespace akin::index {

inline constexpr size_t kMostHnswLevel = 31;

struct GraphShape {
  size_t dims = 0, rows = 0;
  HnswSpec spec;
  uint32_t entry = 0;  // of an empty graph: 0
  size_t ground_words() const { return 1 + 2 * spec.links; }
  size_t upper_words() const { return 1 + spec.links; }
};

// Where the parts of a graph lie, for the writer.
struct GraphParts {
  std::function<size_t(size_t row)> level;
  std::function<const uint32_t*(size_t row, size_t level)> links;
  std::function<const float*(size_t row)> vector;
};
// Errors: io; interrupted (the old file stays).
void write_graph(const std::filesystem::path& path, const GraphShape& shape,
                 const GraphParts& parts);

// A graph's file, mapped, every number in it checked.
class GraphFile {
 public:
  // Errors: not_found; bad_format, a foreign, torn or altered file, or one of other dims.
  GraphFile(const std::filesystem::path& path, size_t dims);
  const GraphShape& shape() const { return shape_; }
  size_t level(size_t row) const { return levels_[row]; }
  const uint32_t* ground(size_t row) const { return ground_ + row * shape_.ground_words(); }
  // Links of levels 1 to level(row), row after row.
  const uint32_t* upper() const { return upper_; }
  const float* vector(size_t row) const { return vectors_ + row * shape_.dims; }

 private:
  void check_levels(uint64_t upper_lists) const;
  void check_links() const;
  void check_list(const uint32_t* list, size_t most, size_t row, size_t level) const;
  [[noreturn]] void fail(const std::string& what) const;

  MappedFile file_;
  GraphShape shape_;
  const uint8_t* levels_ = nullptr;
  const uint32_t* ground_ = nullptr;
  const uint32_t* upper_ = nullptr;
  const float* vectors_ = nullptr;
};

}  // namespace akin::index
