// Rows of CSV and TSV. The first record is a header when it holds a wanted name; columns can also
// be named by number, from 1, and then every record is a row.
#include <optional>
#include <vector>

#include "base/error.h"
#include "store/row_reader.h"
#include "store/table_reader.h"

namespace akin::store {
namespace {

class TableRows : public RowReader {
 public:
  TableRows(std::unique_ptr<ByteStream> in, std::string where, std::span<const std::string> columns,
            const RowOptions& options)
      : where_(std::move(where)),
        options_(options),
        lines_(std::move(in), options.max_row_bytes),
        table_(lines_, options.format == RowFormat::csv, options.max_row_bytes) {
    if (!read_record()) {
      throw_error(ErrorKind::bad_format, where_, "the file is empty; get it again");
    }
    width_ = table_.cells().size();
    for (const std::string& column : columns) choose(ColumnRequest(column));
    for (const std::string& column : columns) check(ColumnRequest(column));
  }

  bool next(std::span<Value> values) override {
    AKIN_CHECK(values.size() == columns_.size());
    const bool first = first_;
    first_ = false;
    if ((!first || has_header_) && !read_record()) return false;
    const auto cells = table_.cells();
    if (cells.size() != width_) {
      throw_error(ErrorKind::bad_format, where(),
                  "{} columns, expected {} as in the first row. Repair the row", cells.size(),
                  width_);
    }
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = {};
      if (!columns_[i]) continue;
      values[i].kind = Value::Kind::text;
      values[i].text = cells[*columns_[i]];
    }
    return true;
  }
  uint64_t row() const override { return table_.line(); }
  std::string where() const override { return fmt::format("{}:{}", where_, table_.line()); }
  uint64_t bytes_read() const override { return lines_.stream().bytes_read(); }
  uint64_t bytes_total() const override { return lines_.stream().bytes_total(); }

  std::vector<std::string> first_record() const {
    return {table_.cells().begin(), table_.cells().end()};
  }

 private:
  bool read_record() {
    std::string problem;
    switch (table_.next(problem)) {
      case TableReader::Result::record:
        return true;
      case TableReader::Result::bad:
        break;
      case TableReader::Result::too_long:
        problem = fmt::format("the row is longer than {} bytes", options_.max_row_bytes);
        break;
      case TableReader::Result::end:
        return false;
    }
    throw_error(ErrorKind::bad_format, where(), "{}. Repair the row", problem);
  }

  // By name, else by number.
  void choose(const ColumnRequest& request) {
    columns_.emplace_back();
    for (const std::string_view name : request.names) {
      columns_.back() = table_.named(name);
      if (columns_.back()) {
        has_header_ = true;
        return;
      }
    }
    for (const std::string_view name : request.names) {
      const auto number = TableReader::numbered(name);
      if (number && *number < width_) {
        columns_.back() = number;
        by_number_ = true;
        return;
      }
    }
  }
  void check(const ColumnRequest& request) {
    bool found = request.optional;
    for (const std::string_view name : request.names) {
      const auto number = TableReader::numbered(name);
      found = found || table_.named(name) || (!has_header_ && number && *number < width_);
    }
    if (!found) throw_missing_column(where(), request, first_record());
    // Only optional names, none there: then the first record is taken for a header.
    if (!by_number_) has_header_ = true;
  }

  const std::string where_;
  const RowOptions options_;
  LineReader lines_;
  TableReader table_;
  std::vector<std::optional<size_t>> columns_;
  size_t width_ = 0;
  bool first_ = true, has_header_ = false, by_number_ = false;
};

}  // namespace

std::unique_ptr<RowReader> make_table_rows(std::unique_ptr<ByteStream> in, std::string where,
                                           std::span<const std::string> columns,
                                           const RowOptions& options) {
  return std::make_unique<TableRows>(std::move(in), std::move(where), columns, options);
}

std::vector<std::string> list_table_columns(std::unique_ptr<ByteStream> in, std::string where,
                                            const RowOptions& options) {
  return TableRows(std::move(in), std::move(where), {}, options).first_record();
}

}  // namespace akin::store
