// See rows.h: choosing a reader by name or first bytes, requests for columns, and typed reads.
#include "store/rows.h"

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "store/row_reader.h"

namespace akin::store {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kKnownNames =
    ".jsonl, .json, .csv, .tsv (each also with .gz or .zst) and .parquet";

std::string lower_extension(const fs::path& name) {
  std::string out = name.extension().string();
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

RowFormat format_by_name(const fs::path& path) {
  fs::path name = path.filename();
  const std::string outer = lower_extension(name);
  if (outer == ".gz" || outer == ".zst") name = name.stem();
  const std::string extension = lower_extension(name);
  if (extension == ".jsonl" || extension == ".ndjson") return RowFormat::jsonl;
  if (extension == ".json") return RowFormat::json;
  if (extension == ".csv") return RowFormat::csv;
  if (extension == ".tsv" || extension == ".tab") return RowFormat::tsv;
  if (extension == ".parquet") return RowFormat::parquet;
  return RowFormat::automatic;
}

// Parquet says what it is; nothing else does.
bool begins_as_parquet(const fs::path& path) {
  char head[4] = {};
  return open_byte_stream(path)->read(head, 4) == 4 && std::string_view(head, 4) == "PAR1";
}

RowOptions resolve(const fs::path& path, const RowOptions& options) {
  RowOptions out = options;
  if (out.format == RowFormat::automatic) out.format = format_by_name(path);
  if (out.format == RowFormat::automatic && begins_as_parquet(path)) {
    out.format = RowFormat::parquet;
  }
  if (out.format == RowFormat::automatic) {
    throw_error(ErrorKind::bad_format, path.string(),
                "cannot tell the format by this name; names that are known end in {}", kKnownNames);
  }
  return out;
}

std::string_view kind_name(const Value& value) {
  constexpr std::string_view kNames[] = {"null", "an integer", "a real number", "text", "a list"};
  return kNames[static_cast<size_t>(value.kind)];
}

std::string words_of(const ColumnRequest& request) {
  std::string out;
  for (const std::string_view name : request.names) {
    if (!out.empty()) out += " or ";
    out += quote(name);
  }
  return out;
}

[[noreturn]] void fail(const Value& value, const RowReader& rows, std::string_view column,
                       std::string_view expected) {
  const std::string got = value.kind == Value::Kind::text ? "the text " + quote(value.text, 30)
                                                          : std::string(kind_name(value));
  throw_error(ErrorKind::bad_format, rows.where(),
              "column {}: expected {}, got {}. Repair the row, or name the right column",
              column_words(column), expected, got);
}

template <typename T>
bool parse_number(std::string_view text, T& out) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\r')) text.remove_suffix(1);
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool integral(double real, int64_t& out) {
  if (!(std::abs(real) < 9007199254740992.0) || real != std::floor(real)) return false;
  out = static_cast<int64_t>(real);
  return true;
}

}  // namespace

ColumnRequest::ColumnRequest(std::string_view column) {
  if (column.ends_with('?')) {
    optional = true;
    column.remove_suffix(1);
  }
  while (true) {
    const size_t bar = column.find('|');
    names.push_back(column.substr(0, bar));
    if (bar == std::string_view::npos) return;
    column.remove_prefix(bar + 1);
  }
}

std::string column_words(std::string_view column) { return words_of(ColumnRequest(column)); }

void throw_missing_column(std::string_view where, const ColumnRequest& request,
                          const std::vector<std::string>& there) {
  throw_error(
      ErrorKind::bad_format, where,
      "no column named {}; the columns are: {}. Say which of these it is, rename it, or get "
      "the right file",
      words_of(request), quote_some(there));
}

std::unique_ptr<RowReader> open_rows(const fs::path& path, std::span<const std::string> columns,
                                     const RowOptions& options) {
  const RowOptions resolved = resolve(path, options);
  switch (resolved.format) {
    case RowFormat::parquet:
      return open_parquet_rows(path, columns, resolved);
    case RowFormat::csv:
    case RowFormat::tsv:
      return make_table_rows(open_byte_stream(path), path.string(), columns, resolved);
    default:
      return make_json_rows(open_byte_stream(path), path.string(), columns, resolved);
  }
}

std::vector<std::string> list_columns(const fs::path& path, const RowOptions& options) {
  const RowOptions resolved = resolve(path, options);
  switch (resolved.format) {
    case RowFormat::parquet:
      return list_parquet_columns(path);
    case RowFormat::csv:
    case RowFormat::tsv:
      return list_table_columns(open_byte_stream(path), path.string(), resolved);
    default:
      return list_json_columns(open_byte_stream(path), path.string(), resolved);
  }
}

std::string_view as_text(const Value& value, const RowReader& rows, std::string_view column,
                         std::string& scratch) {
  switch (value.kind) {
    case Value::Kind::text:
      return value.text;
    case Value::Kind::integer:
      scratch = fmt::format("{}", value.integer);
      return scratch;
    case Value::Kind::real:
      scratch = fmt::format("{}", value.real);
      return scratch;
    default:
      fail(value, rows, column, "text");
  }
}

int64_t as_integer(const Value& value, const RowReader& rows, std::string_view column) {
  int64_t out = value.integer;
  double real = value.real;
  switch (value.kind) {
    case Value::Kind::integer:
      return out;
    case Value::Kind::real:
      if (integral(real, out)) return out;
      break;
    case Value::Kind::text:
      if (parse_number(value.text, out)) return out;
      if (parse_number(value.text, real) && integral(real, out)) return out;
      break;
    default:
      break;
  }
  fail(value, rows, column, "an integer");
}

double as_real(const Value& value, const RowReader& rows, std::string_view column) {
  double out = value.real;
  switch (value.kind) {
    case Value::Kind::integer:
      return static_cast<double>(value.integer);
    case Value::Kind::real:
      if (std::isfinite(out)) return out;
      break;
    case Value::Kind::text:
      if (parse_number(value.text, out) && std::isfinite(out)) return out;
      break;
    default:
      break;
  }
  fail(value, rows, column, "a finite number");
}

std::span<const Value> as_list(const Value& value, const RowReader& rows, std::string_view column) {
  if (value.kind != Value::Kind::list) fail(value, rows, column, "a list");
  return value.list;
}

}  // namespace akin::store
