// CSV (RFC 4180: quotes, doubled quotes, line ends inside quotes) and TSV (tabs, no quotes) rows.
// The first row is a header when it holds the wanted names; columns can also be named by number,
// from 1, and then every row is data.
#include <algorithm>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "store/row_source.h"

namespace akin::store {
namespace {

class TableSource : public RowSource {
 public:
  TableSource(std::unique_ptr<ByteStream> in, std::string where, TextSourceOptions options,
              bool csv)
      : RowSource(std::move(in), std::move(where), std::move(options)), csv_(csv) {}

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
  // One record into cells_[0, count_); bad ones are counted and passed over. False at the end.
  bool read_cells() {
    while (true) {
      std::string_view line;
      const LineReader::Result result = lines_.next(line);
      if (result == LineReader::Result::end) return false;
      record_line_ = lines_.line_number();
      if (result == LineReader::Result::too_long) {
        too_long_row(record_line_);
        continue;
      }
      if (line.empty() || line == "\r") continue;
      count_ = 0;
      std::string problem;
      if (csv_ ? read_csv(line, problem) : split_tabs(line, problem)) return true;
      bad_row(record_line_, problem);
    }
  }

  // A cleared cell behind the last one; null, with `problem` said, when the record has too many.
  std::string* new_cell(std::string& problem) {
    if (count_ == kMaxColumns) {
      problem = fmt::format("more than {} columns", kMaxColumns);
      return nullptr;
    }
    if (count_ == cells_.size()) cells_.emplace_back();
    cells_[count_].clear();
    return &cells_[count_++];
  }

  bool split_tabs(std::string_view line, std::string& problem) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    while (true) {
      const size_t tab = line.find('\t');
      std::string* cell = new_cell(problem);
      if (cell == nullptr) return false;
      cell->assign(line.substr(0, tab));
      if (tab == std::string_view::npos) return true;
      line.remove_prefix(tab + 1);
    }
  }

  // A record begins with `line` and takes further lines while a quote is open.
  bool read_csv(std::string_view line, std::string& problem) {
    while (true) {
      std::string* const place = new_cell(problem);
      if (place == nullptr) return false;
      std::string& cell = *place;
      if (!line.starts_with('"')) {
        const size_t comma = line.find(',');
        cell.assign(line.substr(0, comma));
        if (comma == std::string_view::npos) {
          if (cell.ends_with('\r')) cell.pop_back();
          return true;
        }
        line.remove_prefix(comma + 1);
        continue;
      }
      line.remove_prefix(1);
      if (!read_quoted(line, cell, problem)) return false;
      if (line.empty() || line == "\r") return true;
      if (!line.starts_with(',')) {
        problem = "text follows a closing quote; expected a comma or the end of the row";
        return false;
      }
      line.remove_prefix(1);
    }
  }

  // Behind an opening quote: up to the closing one, over line ends. `line` becomes what follows.
  bool read_quoted(std::string_view& line, std::string& cell, std::string& problem) {
    while (true) {
      const size_t mark = line.find('"');
      cell.append(line.substr(0, mark));
      if (cell.size() > options_.max_row_bytes) {
        problem = fmt::format("the row is longer than {} bytes (is a quote left open?)",
                              options_.max_row_bytes);
        return false;
      }
      if (mark == std::string_view::npos) {
        const bool newline = lines_.ended_with_newline();
        const LineReader::Result result = lines_.next(line);
        if (result != LineReader::Result::line) {
          problem = result == LineReader::Result::end
                        ? "a quote is left open to the end of the file"
                        : "a quote is left open into a huge line";
          return false;
        }
        if (newline) cell += '\n';
        continue;
      }
      line.remove_prefix(mark + 1);
      if (!line.starts_with('"')) return true;
      cell += '"';
      line.remove_prefix(1);
    }
  }

  std::optional<size_t> column_named(std::string_view name) const {
    for (size_t i = 0; i < count_; ++i) {
      if (cells_[i] == name) return i;
    }
    return {};
  }

  static std::optional<size_t> column_numbered(std::string_view name) {
    size_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc() || end != name.data() + name.size() || number == 0) return {};
    return number - 1;
  }

  // By header name, else by number; on the first row.
  size_t find_column(std::string_view name) {
    if (const auto column = column_named(name)) {
      has_header_ = true;
      return *column;
    }
    if (const auto column = column_numbered(name)) return *column;
    throw_error(ErrorKind::usage, where_,
                "no column named {}; the first row is: {}. Name one of these, or a column number "
                "from 1",
                quote(name), first_row());
  }

  std::string first_row() const {
    std::string out;
    for (size_t i = 0; i < std::min<size_t>(count_, 12); ++i) {
      out += (i == 0 ? "" : ", ") + quote(cells_[i], 30);
    }
    return out;
  }

  void choose_columns() {
    for (const std::string& field : options_.fields) columns_.push_back(find_column(field));
    if (!options_.id_field.empty()) id_column_ = find_column(options_.id_field);
    if (columns_.empty()) choose_text_column();
    header_columns_ = count_;
    for (const std::string& field : options_.fields) {
      if (has_header_ && !column_named(field)) {
        throw_error(ErrorKind::usage, where_, "no column named {}; the columns are: {}",
                    quote(field), first_row());
      }
    }
  }

  void choose_text_column() {
    for (const std::string_view name : kTextFields) {
      if (const auto column = column_named(name)) {
        has_header_ = true;
        columns_.push_back(*column);
        return;
      }
    }
    const bool only = count_ == 1 || (count_ == 2 && id_column_);
    if (!only) {
      throw_error(ErrorKind::usage, where_,
                  "{} columns and none named {}; the first row is: {}. Name the column to read, or "
                  "its number from 1",
                  count_, fmt::join(kTextFields, ", "), first_row());
    }
    columns_.push_back(id_column_ && *id_column_ == 0 ? 1 : 0);
  }

  // The chosen cells of the record. False for a bad row.
  bool fill(TextRow& row) {
    if (has_header_ && count_ != header_columns_) {
      bad_row(record_line_,
              fmt::format("{} columns, expected {} as in the header", count_, header_columns_));
      return false;
    }
    size_t needed = id_column_ ? *id_column_ + 1 : 0;
    for (const size_t column : columns_) needed = std::max(needed, column + 1);
    if (count_ < needed) {
      bad_row(record_line_, fmt::format("{} columns, expected at least {}", count_, needed));
      return false;
    }
    row.line = record_line_;
    row.values.resize(columns_.size());
    for (size_t i = 0; i < columns_.size(); ++i) row.values[i].assign(cells_[columns_[i]]);
    row.id.clear();
    if (id_column_) row.id.assign(cells_[*id_column_]);
    return true;
  }

  static constexpr size_t kMaxColumns = 65536;

  const bool csv_;
  bool started_ = false, has_header_ = false;
  std::vector<std::string> cells_;  // reused from row to row
  size_t count_ = 0, header_columns_ = 0;
  uint64_t record_line_ = 0;
  std::vector<size_t> columns_;
  std::optional<size_t> id_column_;
};

}  // namespace

std::unique_ptr<TextSource> make_table_source(std::unique_ptr<ByteStream> in, std::string where,
                                              TextSourceOptions options, bool csv) {
  return std::make_unique<TableSource>(std::move(in), std::move(where), std::move(options), csv);
}

}  // namespace akin::store
