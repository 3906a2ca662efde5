// The rows that negatives are mined for, as their files have them: a query with all its positives.
// Reads through data/record_reader.h, which gives a record for each positive, and joins what
// belongs together. Streaming; the same files give the same rows again.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/record_reader.h"

namespace akin::mine {

struct InputOptions {
  std::vector<std::string> files;
  data::ReadOptions read;
  // Of records with a label: from here on the two texts belong together. At 0 or below the second
  // is a negative of the first; between, neither.
  double min_label = 1e-6;
  uint64_t max_rows = 0;  // stop there; 0: never
};

// One row of a file; a row of many texts that mean the same gives a row for each but the last.
struct InputRow {
  std::string query;
  bool blank = false;                  // the query is white space
  std::vector<std::string> positives;  // these and the following lists: no blank texts
  std::vector<std::string> negatives;  // that it has already
  std::vector<std::string> neither;    // labelled as between the two
  std::string task, source;
  uint64_t row = 0;         // of the file, for messages
  bool same_group = false;  // as the row before: one more text of the same group
};

struct InputCounts {
  std::string path, layout;
  uint64_t rows = 0, bad_rows = 0;
  std::vector<data::BadRow> first_bad_rows;
};

// Of a report: what each file gave, with the first rows that could not be read.
nlohmann::ordered_json inputs_json(const std::vector<InputCounts>& inputs);

class InputReader {
 public:
  explicit InputReader(const InputOptions& options) : options_(options) {}
  // False at the end. Errors: those of data::open_records and of its readers.
  bool next(InputRow& row);
  const std::vector<InputCounts>& counts() const { return counts_; }
  uint64_t bytes_read() const;

 private:
  bool next_record();
  void take(InputRow& row) const;
  const InputOptions& options_;
  size_t next_file_ = 0;
  data::OpenedRecords current_;
  std::vector<InputCounts> counts_;
  data::Record record_;
  bool waiting_ = false, first_of_file_ = false;  // record_ is read and not yet part of a row
  std::string last_positive_;
  uint64_t last_row_ = 0, rows_ = 0, bytes_done_ = 0;
};

}  // namespace akin::mine
