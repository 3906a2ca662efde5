// Which columns of a file hold which fields of a record. Internal to data/.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace akin::data {

// What a row is: a pair (perhaps with more), one text, or a text and the name of its class.
enum class RowShape : uint8_t { pair, single, classes };

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
// Whether rows of these columns are texts and nothing else that a record has: no pair, no class.
bool are_single_texts(std::span<const std::string> columns);
// By "field=column" entries; a single text needs no positive. Errors: usage.
Layout mapped_layout(std::span<const std::string> map, RowShape shape);

}  // namespace akin::data
