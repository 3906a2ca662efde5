// What the readers share: a row that cannot be used is counted and kept with its place, or ends the
// run. Internal to data/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "data/record_reader.h"
#include "store/rows.h"

namespace akin::data {

class BadRows {
 public:
  explicit BadRows(bool skip) : skip_(skip) {}

  // Errors: bad_format, when bad rows are not to be skipped, and after kMostInARow of them, for
  // such a file is not what it is taken for.
  void add(std::string where, std::string message) {
    if (!skip_) throw Error(ErrorKind::bad_format, std::move(message), std::move(where));
    ++count_;
    if (++in_a_row_ == kMostInARow) {
      throw_error(ErrorKind::bad_format, where, "{} bad rows one after another; the last: {}",
                  kMostInARow, message);
    }
    if (first_.size() < RecordReader::kBadRowsKept) {
      first_.push_back({std::move(where), std::move(message)});
    }
  }
  void good() { in_a_row_ = 0; }
  uint64_t count() const { return count_; }
  const std::vector<BadRow>& first() const { return first_; }

 private:
  static constexpr uint64_t kMostInARow = 10'000;
  const bool skip_;
  uint64_t count_ = 0, in_a_row_ = 0;
  std::vector<BadRow> first_;
};

// Text or a number as text, made valid UTF-8. False when the value is null. Errors: bad_format.
bool read_text(const store::Value& value, const store::RowReader& rows, std::string_view column,
               std::string& out);

// A BEIR folder: corpus, queries and qrels.
std::unique_ptr<RecordReader> open_beir(const std::filesystem::path& folder,
                                        const ReadOptions& options);

}  // namespace akin::data
