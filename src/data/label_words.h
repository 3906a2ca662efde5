// Numbers for labels that are words ("entailment=1"), as a source of training records says them.
// Internal to data/.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/rows.h"

namespace akin::data {

class LabelWords {
 public:
  // Errors: usage, for an entry that is not WORD=NUMBER or WORD=drop, and for a word given twice.
  explicit LabelWords(const std::vector<std::string>& entries);
  // The number of a label; none: the row is to be left out. Errors: bad_format, naming the place,
  // the word and what to write.
  std::optional<float> number(const store::Value& label, const store::RowReader& rows,
                              std::string_view column) const;

 private:
  std::map<std::string, std::optional<float>, std::less<>> numbers_;
};

}  // namespace akin::data
