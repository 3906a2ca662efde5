// Records of CSV (RFC 4180: quotes, doubled quotes, line ends inside quotes) and TSV (tabs, no
// quotes), cell by cell. Knows no columns. Internal to store/.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/lines.h"

namespace akin::store {

class TableReader {
 public:
  // The lines are borrowed.
  TableReader(LineReader& lines, bool csv, uint64_t max_row_bytes)
      : lines_(lines), csv_(csv), max_row_bytes_(max_row_bytes) {}

  enum class Result : uint8_t { record, bad, too_long, end };
  // The next record; blank lines are passed over. bad: `problem` says why, and the next call goes
  // on behind it.
  Result next(std::string& problem);

  std::span<const std::string> cells() const { return {cells_.data(), count_}; }
  uint64_t line() const { return line_; }  // at which the record begins

  // A column by its name in the current record, or by its number ("1" is the first).
  std::optional<size_t> named(std::string_view name) const;
  static std::optional<size_t> numbered(std::string_view name);
  std::string first_cells() const;  // for messages

 private:
  std::string* new_cell(std::string& problem);
  bool split_tabs(std::string_view line, std::string& problem);
  bool read_csv(std::string_view line, std::string& problem);
  bool read_quoted(std::string_view& line, std::string& cell, std::string& problem);

  LineReader& lines_;
  const bool csv_;
  const uint64_t max_row_bytes_;
  std::vector<std::string> cells_;  // reused from record to record
  size_t count_ = 0;
  uint64_t line_ = 0;
};

}  // namespace akin::store
