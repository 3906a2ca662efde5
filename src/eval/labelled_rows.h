// Rows of a text and a label, read in two steps so that a task holds only the texts it embeds: the
// labels of all rows first, then the texts of those that were chosen.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/task.h"
#include "eval/task_data.h"

namespace akin::eval {

struct LabelColumn {
  std::vector<std::string> values;           // of rows that label_map keeps
  std::map<std::string, std::string> where;  // label -> place of its first row
};
// Role "rows" or "train". Errors: bad_format naming file and row.
LabelColumn read_labels(std::string_view role, const Slice& slice, const TaskContext& context);
// Texts of the rows (numbers among those that label_map keeps), in the order given.
std::vector<std::string> read_chosen(std::string_view role, const Slice& slice,
                                     const TaskContext& context, std::span<const size_t> rows);

// Numbers of labels in rising order: by value when all are integers, else by code point.
// `as_text`: by code point always, as a stratified draw leaves them.
std::map<std::string, int32_t> number_labels(std::span<const LabelColumn* const> columns,
                                             bool as_text);
std::vector<int32_t> numbers_of(std::span<const std::string> labels,
                                const std::map<std::string, int32_t>& numbers);

// Stratified draws need two rows of every label. Errors: bad_format naming the row of one that
// occurs once.
void check_no_single_label(const LabelColumn& labels, std::string_view setting);

}  // namespace akin::eval
