// Rows of two texts, from TSV, CSV, JSONL or stdin, with or without a header row. Not for single
// texts (see load.h).
#pragma once

#include <memory>
#include <string>

#include "cli/load.h"
#include "store/text_source.h"

namespace akin::cli {

struct TextPair {
  std::string a, b, id;
};

class PairReader {
 public:
  // With --field a,b those columns; without, the two columns of a headerless TSV, or the first
  // known pair of names in a header or JSONL row (sentence1 and sentence2, s1 and s2, query and
  // positive, ...). Errors: usage, not_found.
  PairReader(std::string file, const InputOptions& options);
  bool next(TextPair& pair);  // Errors: bad_format naming the line

 private:
  void choose_columns(std::string_view first_line, store::TextFormat format);
  bool next_tabbed(TextPair& pair);
  std::string file_;
  InputOptions options_;
  std::unique_ptr<store::TextSource> source_;
  store::TextRow row_;
  bool tabbed_ = false;  // lines split here at tabs
  bool row_waits_ = false;
  size_t column_a_ = 0, column_b_ = 1;
};

}  // namespace akin::cli
