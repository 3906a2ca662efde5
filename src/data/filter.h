// What a filter of `akin prep` is: it judges one record, and may say which records count as one. A
// filter has no header of its own: it is one .cc in filters/ that exports make_<name>_filter(), and
// one line in filters.def. How filters are run, counted and resumed is chain.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/record.h"

namespace akin::data {

// The options of all filters; each takes its own.
struct FilterOptions {
  uint64_t min_chars = 1, max_chars = 0;  // length; 0: no upper bound
  double overlap = 0.8;                   // overlap: share of the shorter text's words
  uint64_t overlap_words = 4;             // overlap: and at least this many of them
  std::vector<std::string> eval_texts;    // contamination: files or folders
  std::vector<std::string> eval_columns;  // contamination: empty: by known names
  uint64_t eval_words = 13;               // contamination: words in a row that may not be shared
};

struct Verdict {
  std::string_view reason = {};  // a constant of the filter; empty: the record stays
  std::string match = {};        // what it met, for samples and lists; may be empty
  bool changed = false;          // the record stays, rewritten
};

struct RecordKey {
  uint64_t high = 0, low = 0;
  bool operator==(const RecordKey&) const = default;
};

// Judges from several threads at once.
class Filter {
 public:
  virtual ~Filter() = default;
  virtual Verdict judge(Record& record) const = 0;
  // A keyed filter: of the records that it lets pass with one and the same key, the first stays
  // and the others are removed as "repeated".
  virtual bool keyed() const { return false; }
  virtual RecordKey key(const Record& /*record*/) const { return {}; }
};

struct FilterInfo {
  std::string_view name, summary;
};
std::vector<FilterInfo> filter_infos();
// Errors: usage, naming the known filters; those of the filter's own options and files.
std::unique_ptr<Filter> make_filter(std::string_view name, const FilterOptions& options);

}  // namespace akin::data
