// Keeps what meets an evaluation text out of training: the filter contamination, at the door of a
// record store. Made when the first record asks, for stores that are there already need no reading
// of evaluation sets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/filter.h"

namespace akin::data {

// For one thread at a time.
class EvalGate {
 public:
  // Files and folders of evaluation sets, and their columns (empty: those of known names).
  EvalGate(std::vector<std::string> texts, std::vector<std::string> columns);

  // What decides: which files, their sizes and times when first asked. Errors: not_found, io.
  const std::string& key();
  // Whether the record meets an evaluation text. Errors: those of reading the sets.
  bool meets(Record& record);

 private:
  FilterOptions options_;
  std::string key_;
  std::unique_ptr<Filter> filter_;
};

}  // namespace akin::data
