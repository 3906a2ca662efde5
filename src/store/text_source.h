// Rows of text from files users have: plain lines, JSONL, TSV, CSV, each also .gz / .zst, or "-"
// for stdin. Streaming.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace akin::store {

enum class TextFormat : uint8_t { automatic, lines, jsonl, tsv, csv };

struct TextSourceOptions {
  TextFormat format = TextFormat::automatic;  // by file name (foo.jsonl.gz), lines for stdin
  std::vector<std::string> fields =
      {};  // JSONL keys or TSV/CSV header names to read; empty: "text" (or the only column /
           // first of text, sentence, content, query, title)
  std::string id_field = {};                    // optional
  uint64_t max_row_bytes = uint64_t{64} << 20;  // a longer row is a bad row, never a crash
  bool skip_bad_rows =
      false;  // else the first bad row throws Error(bad_format) with file and line number
};

struct TextRow {
  uint64_t line = 0;                // 1-based
  std::string id;                   // empty without id_field
  std::vector<std::string> values;  // one per field
};

// Pull-style reader; next() returns false at the end. Counts bad rows it skipped.
class TextSource {
 public:
  virtual ~TextSource() = default;
  virtual bool next(TextRow& row) = 0;
  virtual uint64_t bad_rows() const = 0;
  virtual uint64_t bytes_read() const = 0;   // compressed bytes consumed, for progress
  virtual uint64_t bytes_total() const = 0;  // 0 for stdin
};
std::unique_ptr<TextSource> open_text_source(const std::filesystem::path& path,
                                             const TextSourceOptions& options);

// Each .txt or .md file under a folder is one row: id is its relative path, the one value its whole
// text. Sorted by path; hidden names and links to folders are left out, other files with a warning
// that counts them. open_text_source does this for a folder. Errors: not_found, no such folder or
// no such file in it.
std::unique_ptr<TextSource> open_text_folder(const std::filesystem::path& folder,
                                             const TextSourceOptions& options);

}  // namespace akin::store
