// Rows of named, typed columns from data files: JSONL, JSON, CSV, TSV (each also .gz / .zst) and
// Parquet. Streaming. Plain rows of text, folders and stdin are text_source.h; where the files of a
// dataset lie is dataset_folder.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace akin::store {

// One cell. Text and lists are borrowed from the reader until its next row.
struct Value {
  enum class Kind : uint8_t { null, integer, real, text, list };
  Kind kind = Kind::null;
  int64_t integer = 0;               // booleans are 0 and 1
  double real = 0;                   // of kind real
  std::string_view text = {};        // valid UTF-8, but for CSV and TSV: as in the file
  std::span<const Value> list = {};  // lists may hold lists

  bool is_null() const { return kind == Kind::null; }
};

// CSV and TSV cells are always text (an empty cell too): read them with the as_* functions below.
class RowReader {
 public:
  virtual ~RowReader() = default;
  // Fills one value per requested column; false at the end. Errors: bad_format, naming file and row
  // (broken syntax, a missing column, a value nested too deep).
  virtual bool next(std::span<Value> values) = 0;
  virtual uint64_t row() const = 0;         // of the last row: line number in text, else row number
  virtual std::string where() const = 0;    // "file.jsonl:12", "file.parquet: row 12"
  virtual uint64_t bytes_read() const = 0;  // of the file, for progress
  virtual uint64_t bytes_total() const = 0;
};

enum class RowFormat : uint8_t { automatic, jsonl, json, csv, tsv, parquet };

struct RowOptions {
  RowFormat format = RowFormat::automatic;        // by name (x.jsonl.gz) and first bytes
  uint64_t max_row_bytes = uint64_t{512} << 20;   // a longer row is an error
  uint64_t max_json_bytes = uint64_t{512} << 20;  // a .json file that is one value is read whole
};

// Reads the named columns, in this order. "id|_id" takes the first of the alternatives that the
// file has; "title?" may be absent (its values are null then), also "id|_id?". A JSON key that some
// rows lack is null there, if another row before had it. A column that holds structs is asked for
// by its path, "translation.en". Errors: not_found, io; bad_format for an unknown format, a broken
// file, or a missing column (lists the columns that there are).
std::unique_ptr<RowReader> open_rows(const std::filesystem::path& path,
                                     std::span<const std::string> columns,
                                     const RowOptions& options = {});

// The columns of the file: of its schema, its header or its first object.
std::vector<std::string> list_columns(const std::filesystem::path& path,
                                      const RowOptions& options = {});

// "id|_id?" for a message: "id" or "_id", in quotes.
std::string column_words(std::string_view column);

// Typed reads. Errors: bad_format naming file, row and column, what was expected and what is there.
// Text: integers and reals are taken in their shortest decimal form (ids are written both ways).
std::string_view as_text(const Value& value, const RowReader& rows, std::string_view column,
                         std::string& scratch);
// Integers, integral reals (3.0) and text that holds one.
int64_t as_integer(const Value& value, const RowReader& rows, std::string_view column);
// Finite numbers, and text that holds one.
double as_real(const Value& value, const RowReader& rows, std::string_view column);
// A list; a text that holds a JSON array (CSV) is not one.
std::span<const Value> as_list(const Value& value, const RowReader& rows, std::string_view column);

}  // namespace akin::store
