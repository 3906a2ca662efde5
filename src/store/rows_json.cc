// Rows of JSONL (one object a line) and JSON (an array of objects, or one object, which is one
// row), read with simdjson.
#include <simdjson.h>

#include <memory>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "store/lines.h"
#include "store/row_reader.h"

namespace akin::store {
namespace {

namespace dom = simdjson::dom;
static_assert(LineReader::kPaddingBytes >= simdjson::SIMDJSON_PADDING);

constexpr std::string_view kBlanks = " \t\r\n";
constexpr int kMaxListDepth = 32;

std::string_view trim(std::string_view line) {
  const size_t begin = line.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(kBlanks) - begin + 1);
}

class JsonRows : public RowReader {
 public:
  JsonRows(std::unique_ptr<ByteStream> in, std::string where, std::span<const std::string> columns,
           const RowOptions& options)
      : where_(std::move(where)),
        options_(options),
        columns_(columns.begin(), columns.end()),
        lines_(std::move(in), options.format == RowFormat::json
                                  ? std::max(options.max_row_bytes, options.max_json_bytes)
                                  : options.max_row_bytes) {
    for (const std::string& column : columns_) requests_.emplace_back(column);
    begin();
  }

  bool next(std::span<Value> values) override {
    AKIN_CHECK(values.size() == requests_.size());
    if (!first_ && !advance()) return false;
    first_ = false;
    if (!has_row_) return false;
    lists_.clear();
    bytes_ = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = {};
      dom::element element;
      if (find(requests_[i], element)) convert(element, columns_[i], 0, values[i]);
    }
    return true;
  }
  uint64_t row() const override { return row_; }
  std::string where() const override {
    return whole_ ? fmt::format("{}: item {}", where_, row_) : fmt::format("{}:{}", where_, row_);
  }
  uint64_t bytes_read() const override { return lines_.stream().bytes_read(); }
  uint64_t bytes_total() const override { return lines_.stream().bytes_total(); }

  // Of the first row; none when there are no rows.
  std::vector<std::string> keys() const {
    std::vector<std::string> out;
    if (!has_row_) return out;
    for (const auto field : object_) out.emplace_back(field.key);
    return out;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw_error(ErrorKind::bad_format, where(), "{}", what);
  }

  // The first row, so that a missing column is found when the file is opened.
  void begin() {
    std::string_view line;
    if (!next_line(line)) {
      throw_error(ErrorKind::bad_format, where_, "the file is empty; get it again");
    }
    if (options_.format == RowFormat::json && (line.front() == '[' || !parse(line).empty())) {
      read_document(line);
    } else {
      read_object(line);
    }
    for (const ColumnRequest& request : requests_) {
      dom::element ignored;
      if (has_row_ && !request.optional && !find(request, ignored)) {
        throw_missing_column(where(), request, keys());
      }
    }
  }

  bool advance() {
    if (whole_) return next_item();
    std::string_view line;
    has_row_ = next_line(line);
    if (has_row_) read_object(line);
    return has_row_;
  }

  // The next line that is not blank.
  bool next_line(std::string_view& line) {
    while (true) {
      const LineReader::Result result = lines_.next(line);
      if (result == LineReader::Result::end) return false;
      row_ = lines_.line_number();
      if (result == LineReader::Result::too_long) {
        fail(fmt::format("the row is longer than {} bytes", options_.max_row_bytes));
      }
      line = trim(line);
      if (!line.empty()) return true;
    }
  }

  // What is wrong, or nothing. The line reader keeps kPaddingBytes readable behind every line.
  std::string parse(std::string_view text) {
    const auto error = parse_json(parser_, text, true, root_);
    return error ? json_problem(error, text) : std::string();
  }

  void read_object(std::string_view line) {
    const std::string problem = parse(line);
    if (!problem.empty()) fail(fmt::format("{}. Repair the row", problem));
    if (root_.get(object_) != simdjson::SUCCESS) {
      fail("expected one JSON object a line. Repair the row");
    }
    has_row_ = true;
  }

  // One value over the whole file, which begins with `line`.
  void read_document(std::string_view line) {
    std::string text(line);
    while (true) {
      const LineReader::Result result = lines_.next(line);
      if (result == LineReader::Result::end) break;
      if (result == LineReader::Result::too_long ||
          text.size() + line.size() > options_.max_json_bytes) {
        throw_error(ErrorKind::bad_format, where_,
                    "one JSON value of more than {} bytes; write it as JSONL, one object a line",
                    options_.max_json_bytes);
      }
      text += '\n';
      text += line;
    }
    document_ = simdjson::padded_string(text);
    const auto error = parse_json(parser_, document_, true, root_);
    if (error) {
      throw_error(ErrorKind::bad_format, where_, "{}. Repair the file", json_problem(error, text));
    }
    whole_ = true;
    row_ = 0;
    if (root_.get(items_) == simdjson::SUCCESS) {
      item_ = items_.begin();
      next_item();
      return;
    }
    row_ = 1;
    if (root_.get(object_) != simdjson::SUCCESS) {
      fail("expected an array of objects, or one object. Repair the file");
    }
    has_row_ = true;
  }

  bool next_item() {
    has_row_ = false;
    if (!root_.is_array() || !(item_ != items_.end())) return false;
    ++row_;
    if ((*item_).get(object_) != simdjson::SUCCESS) {
      fail("expected an array of objects. Repair the file");
    }
    ++item_;
    has_row_ = true;
    return true;
  }

  // The first alternative that the row has: as a key, else as a path of keys.
  bool find(const ColumnRequest& request, dom::element& out) const {
    for (const std::string_view name : request.names) {
      if (object_.at_key(name).get(out) == simdjson::SUCCESS) return true;
      if (name.find('.') != std::string_view::npos && find_path(name, out)) return true;
    }
    return false;
  }
  bool find_path(std::string_view path, dom::element& out) const {
    dom::object object = object_;
    while (true) {
      const size_t dot = path.find('.');
      if (object.at_key(path.substr(0, dot)).get(out) != simdjson::SUCCESS) return false;
      if (dot == std::string_view::npos) return true;
      if (out.get(object) != simdjson::SUCCESS) return false;
      path.remove_prefix(dot + 1);
    }
  }

  // NOLINTNEXTLINE(misc-no-recursion): at most kMaxListDepth deep
  void convert(dom::element element, std::string_view column, int depth, Value& out) {
    switch (element.type()) {
      case dom::element_type::NULL_VALUE:
        return;
      case dom::element_type::BOOL:
        out.kind = Value::Kind::integer;
        out.integer = element.get_bool().value_unsafe() ? 1 : 0;
        return;
      case dom::element_type::INT64:
        out.kind = Value::Kind::integer;
        out.integer = element.get_int64().value_unsafe();
        return;
      case dom::element_type::UINT64:
      case dom::element_type::DOUBLE:
        out.kind = Value::Kind::real;
        out.real = element.get_double().value_unsafe();
        return;
      case dom::element_type::STRING:
        out.kind = Value::Kind::text;
        out.text = element.get_string().value_unsafe();
        return;
      case dom::element_type::ARRAY:
        return convert_list(element.get_array().value_unsafe(), column, depth, out);
      case dom::element_type::OBJECT:
        fail(fmt::format("column {} holds an object; name one of its fields, as in \"{}.name\"",
                         quote(column), column));
    }
  }

  // NOLINTNEXTLINE(misc-no-recursion)
  void convert_list(dom::array array, std::string_view column, int depth, Value& out) {
    if (depth == kMaxListDepth) fail(fmt::format("column {} is nested too deep", quote(column)));
    size_t size = 0;
    for ([[maybe_unused]] const dom::element item : array) ++size;
    bytes_ += size * sizeof(Value);
    if (bytes_ > options_.max_row_bytes) {
      fail(fmt::format("the row is longer than {} bytes", options_.max_row_bytes));
    }
    Value* const items = lists_.emplace_back(std::make_unique<Value[]>(size)).get();
    size_t i = 0;
    for (const dom::element item : array) convert(item, column, depth + 1, items[i++]);
    out.kind = Value::Kind::list;
    out.list = {items, size};
  }

  const std::string where_;
  const RowOptions options_;
  const std::vector<std::string> columns_;
  std::vector<ColumnRequest> requests_;
  LineReader lines_;
  dom::parser parser_;
  simdjson::padded_string document_;
  dom::element root_;
  dom::object object_;  // the row
  dom::array items_;
  dom::array::iterator item_;
  bool first_ = true, has_row_ = false, whole_ = false;
  uint64_t row_ = 0, bytes_ = 0;
  std::vector<std::unique_ptr<Value[]>> lists_;
};

}  // namespace

std::unique_ptr<RowReader> make_json_rows(std::unique_ptr<ByteStream> in, std::string where,
                                          std::span<const std::string> columns,
                                          const RowOptions& options) {
  return std::make_unique<JsonRows>(std::move(in), std::move(where), columns, options);
}

std::vector<std::string> list_json_columns(std::unique_ptr<ByteStream> in, std::string where,
                                           const RowOptions& options) {
  return JsonRows(std::move(in), std::move(where), {}, options).keys();
}

}  // namespace akin::store
