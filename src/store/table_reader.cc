// See table_reader.h.
#include "store/table_reader.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace akin::store {
namespace {

constexpr size_t kMaxColumns = 65536;

}  // namespace

TableReader::Result TableReader::next(std::string& problem) {
  while (true) {
    std::string_view line;
    const LineReader::Result result = lines_.next(line);
    if (result == LineReader::Result::end) return Result::end;
    line_ = lines_.line_number();
    if (result == LineReader::Result::too_long) return Result::too_long;
    if (line.empty() || line == "\r") continue;
    count_ = 0;
    const bool good = csv_ ? read_csv(line, problem) : split_tabs(line, problem);
    return good ? Result::record : Result::bad;
  }
}

// A cleared cell behind the last one; null, with `problem` said, when the record has too many.
std::string* TableReader::new_cell(std::string& problem) {
  if (count_ == kMaxColumns) {
    problem = fmt::format("more than {} columns", kMaxColumns);
    return nullptr;
  }
  if (count_ == cells_.size()) cells_.emplace_back();
  cells_[count_].clear();
  return &cells_[count_++];
}

bool TableReader::split_tabs(std::string_view line, std::string& problem) {
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
bool TableReader::read_csv(std::string_view line, std::string& problem) {
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
bool TableReader::read_quoted(std::string_view& line, std::string& cell, std::string& problem) {
  while (true) {
    const size_t mark = line.find('"');
    cell.append(line.substr(0, mark));
    if (cell.size() > max_row_bytes_) {
      problem =
          fmt::format("the row is longer than {} bytes (is a quote left open?)", max_row_bytes_);
      return false;
    }
    if (mark == std::string_view::npos) {
      const bool newline = lines_.ended_with_newline();
      const LineReader::Result result = lines_.next(line);
      if (result != LineReader::Result::line) {
        problem = result == LineReader::Result::end ? "a quote is left open to the end of the file"
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

std::optional<size_t> TableReader::named(std::string_view name) const {
  for (size_t i = 0; i < count_; ++i) {
    if (cells_[i] == name) return i;
  }
  return {};
}

std::optional<size_t> TableReader::numbered(std::string_view name) {
  size_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number == 0) return {};
  return number - 1;
}

std::string TableReader::first_cells() const {
  std::string out;
  for (size_t i = 0; i < std::min<size_t>(count_, 12); ++i) {
    out += (i == 0 ? "" : ", ") + quote(cells_[i], 30);
  }
  return out;
}

}  // namespace akin::store
