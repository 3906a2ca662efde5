// Text rows of CSV and TSV: which columns, and their cells. Records are table_reader.cc. The first
// row is a header when it holds the wanted names; columns can also be named by number,
// from 1, and then every row is data.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "store/row_source.h"
#include "store/table_reader.h"

namespace akin::store {
namespace {

class TableSource : public RowSource {
 public:
  TableSource(std::unique_ptr<ByteStream> in, std::string where, TextSourceOptions options,
              bool csv)
      : RowSource(std::move(in), std::move(where), std::move(options)),
        table_(lines_, csv, options_.max_row_bytes) {}

  bool next(TextRow& row) override {
    if (!started_) {
      started_ = true;
      if (!read_cells()) return false;
      choose_columns();
      if (!has_header_ && fill(row)) return true;
    }
    while (read_cells()) {
      if (fill(row)) return true;
    }
    return false;
  }

 private:
  // One record; bad ones are counted and passed over. False at the end.
  bool read_cells() {
    while (true) {
      std::string problem;
      switch (table_.next(problem)) {
        case TableReader::Result::record:
          return true;
        case TableReader::Result::bad:
          bad_row(table_.line(), problem);
          break;
        case TableReader::Result::too_long:
          too_long_row(table_.line());
          break;
        case TableReader::Result::end:
          return false;
      }
    }
  }

  // By header name, else by number; on the first row.
  size_t find_column(std::string_view name) {
    if (const auto column = table_.named(name)) {
      has_header_ = true;
      return *column;
    }
    if (const auto column = TableReader::numbered(name)) return *column;
    throw_error(
        ErrorKind::usage, where_,
        "no column named {}; the first row is: {}. Name one of these; or, where that row is no "
        "header, a column's number from 1",
        quote(name), table_.first_cells());
  }

  void choose_columns() {
    for (const std::string& field : options_.fields) columns_.push_back(find_column(field));
    if (!options_.id_field.empty()) id_column_ = find_column(options_.id_field);
    if (columns_.empty()) choose_text_column();
    header_columns_ = table_.cells().size();
    for (const std::string& field : options_.fields) {
      if (has_header_ && !table_.named(field)) {
        throw_error(ErrorKind::usage, where_, "no column named {}; the columns are: {}",
                    quote(field), table_.first_cells());
      }
    }
  }

  void choose_text_column() {
    for (const std::string_view name : kTextFields) {
      if (const auto column = table_.named(name)) {
        has_header_ = true;
        columns_.push_back(*column);
        return;
      }
    }
    const bool only = table_.cells().size() == 1 || (table_.cells().size() == 2 && id_column_);
    if (!only) {
      throw_error(
          ErrorKind::usage, where_,
          "{} columns and none named {}; the first row is: {}. Name the column to read (--field); "
          "or, where that row is no header, its number from 1",
          table_.cells().size(), fmt::join(kTextFields, ", "), table_.first_cells());
    }
    columns_.push_back(id_column_ && *id_column_ == 0 ? 1 : 0);
  }

  // The chosen cells of the record. False for a bad row.
  bool fill(TextRow& row) {
    if (has_header_ && table_.cells().size() != header_columns_) {
      bad_row(table_.line(), fmt::format("{} columns, expected {} as in the header",
                                         table_.cells().size(), header_columns_));
      return false;
    }
    size_t needed = id_column_ ? *id_column_ + 1 : 0;
    for (const size_t column : columns_) needed = std::max(needed, column + 1);
    if (table_.cells().size() < needed) {
      bad_row(table_.line(),
              fmt::format("{} columns, expected at least {}", table_.cells().size(), needed));
      return false;
    }
    row.line = table_.line();
    row.values.resize(columns_.size());
    for (size_t i = 0; i < columns_.size(); ++i) row.values[i].assign(table_.cells()[columns_[i]]);
    row.id.clear();
    if (id_column_) row.id.assign(table_.cells()[*id_column_]);
    return true;
  }

  TableReader table_;
  bool started_ = false, has_header_ = false;
  size_t header_columns_ = 0;
  std::vector<size_t> columns_;
  std::optional<size_t> id_column_;
};

}  // namespace

std::unique_ptr<TextSource> make_table_source(std::unique_ptr<ByteStream> in, std::string where,
                                              TextSourceOptions options, bool csv) {
  return std::make_unique<TableSource>(std::move(in), std::move(where), std::move(options), csv);
}

}  // namespace akin::store
