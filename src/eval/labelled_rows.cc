#include "eval/labelled_rows.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace akin::eval {
namespace {

bool as_number(std::string_view text, int64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

LabelColumn read_labels(std::string_view role, const Slice& slice, const TaskContext& context) {
  LabelColumn out;
  const std::string columns[] = {column(context.spec, "label", "label|labels")};
  context.data.each_row(role, slice, columns, [&](auto values, const auto& reader) {
    auto label = mapped_label(context.spec, text_of(values[0], reader, columns[0]));
    if (!label) return;
    if (out.where.count(*label) == 0) out.where.emplace(*label, reader.where());
    out.values.push_back(std::move(*label));
  });
  if (out.where.size() < 2) {
    throw_error(ErrorKind::bad_format, context.data.files(role, slice).paths.front().string(),
                "{} different labels in column {}: at least two are needed; check columns.label "
                "and label_map",
                out.where.size(), store::column_words(columns[0]));
  }
  return out;
}

std::vector<std::string> read_chosen(std::string_view role, const Slice& slice,
                                     const TaskContext& context, std::span<const size_t> rows) {
  std::vector<std::pair<size_t, size_t>> order;  // row, place in the result
  for (size_t i = 0; i < rows.size(); ++i) order.emplace_back(rows[i], i);
  std::sort(order.begin(), order.end());
  std::vector<std::string> out(rows.size());
  const std::string columns[] = {column(context.spec, "text", "text|sentences|sentence"),
                                 column(context.spec, "label", "label|labels")};
  const bool filtered = !context.spec.label_map.empty();
  size_t row = 0, next = 0;
  context.data.each_row(role, slice, columns, [&](auto values, const auto& reader) {
    if (next == order.size()) return;
    if (filtered && !mapped_label(context.spec, text_of(values[1], reader, columns[1]))) return;
    for (; next < order.size() && order[next].first == row; ++next) {
      out[order[next].second] = text_of(values[0], reader, columns[0]);
    }
    ++row;
  });
  AKIN_CHECK(next == order.size());
  return out;
}

std::map<std::string, int32_t> number_labels(std::span<const LabelColumn* const> columns,
                                             bool as_text) {
  std::map<std::string, int32_t> out;
  bool integers = !as_text;
  int64_t value = 0;
  for (const auto* labels : columns) {
    for (const auto& [label, where] : labels->where) {
      out.emplace(label, 0);
      integers = integers && as_number(label, value);
    }
  }
  std::vector<std::pair<int64_t, std::string>> order;
  for (const auto& [label, number] : out) {
    value = 0;
    if (integers) as_number(label, value);
    order.emplace_back(value, label);
  }
  std::sort(order.begin(), order.end());
  for (size_t i = 0; i < order.size(); ++i) out[order[i].second] = static_cast<int32_t>(i);
  return out;
}

std::vector<int32_t> numbers_of(std::span<const std::string> labels,
                                const std::map<std::string, int32_t>& numbers) {
  std::vector<int32_t> out;
  out.reserve(labels.size());
  for (const auto& label : labels) out.push_back(numbers.at(label));
  return out;
}

void check_no_single_label(const LabelColumn& labels, std::string_view setting) {
  std::map<std::string_view, size_t> counts;
  for (const auto& label : labels.values) ++counts[label];
  for (const auto& [label, count] : counts) {
    if (count > 1) continue;
    throw_error(ErrorKind::bad_format, labels.where.at(std::string(label)),
                "label {} occurs once in the split: the stratified draw of {} needs at least two "
                "rows of every label; delete this row, or add another of its label",
                quote(label), setting);
  }
}

}  // namespace akin::eval
