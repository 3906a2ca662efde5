// Which columns of a file hold which fields of a record. Internal to data/.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/record.h"

namespace akin::data {

// Requests for columns in the words of store/rows.h ("label|score?"); empty: no such field.
struct Layout {
  std::string query, positive;  // positive may hold a list: a record for each item
  std::string group;            // instead of both: a list of texts that mean the same
  std::vector<std::string> negatives;
  std::string label, scores, positive_scores, negative_scores, task, source;
  std::string words;  // for people: "query, pos, neg"
};

// By known names. Errors: bad_format, listing the columns.
Layout known_layout(std::span<const std::string> columns, RowShape shape, const std::string& where);
// What rows of these columns are: texts with a class or texts alone, where no pair is.
RowShape shape_of_columns(std::span<const std::string> columns);
// What the entries of mapped_layout() name.
RowShape shape_of_map(std::span<const std::string> map);
// By "field=column" entries; a single text needs no positive, and that of a class may be called
// class. Errors: usage.
Layout mapped_layout(std::span<const std::string> map, RowShape shape);

}  // namespace akin::data
