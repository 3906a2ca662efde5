// What the row readers (lines, JSONL, CSV, TSV) share: lines, the file's name in errors, and what
// happens to a bad row. Internal to store/.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "store/lines.h"
#include "store/text_source.h"

namespace akin::store {

class RowSource : public TextSource {
 public:
  RowSource(std::unique_ptr<ByteStream> in, std::string where, TextSourceOptions options);
  uint64_t bad_rows() const override { return bad_rows_; }
  uint64_t bytes_read() const override { return lines_.stream().bytes_read(); }
  uint64_t bytes_total() const override { return lines_.stream().bytes_total(); }

 protected:
  // Counts a bad row, or throws Error(bad_format, "file:line") when they are not to be skipped.
  void bad_row(uint64_t line, std::string_view message);
  void too_long_row(uint64_t line);

  const TextSourceOptions options_;
  const std::string where_;
  LineReader lines_;

 private:
  uint64_t bad_rows_ = 0;
};

// Field names that hold the text when the caller names none, best first.
extern const std::string_view kTextFields[5];

std::unique_ptr<TextSource> make_jsonl_source(std::unique_ptr<ByteStream> in, std::string where,
                                              TextSourceOptions options);
// CSV (RFC 4180) with ',' and quotes, or TSV with '\t' and none.
std::unique_ptr<TextSource> make_table_source(std::unique_ptr<ByteStream> in, std::string where,
                                              TextSourceOptions options, bool csv);
// Any format over a stream; options.format must not be automatic.
std::unique_ptr<TextSource> make_text_source(std::unique_ptr<ByteStream> in, std::string where,
                                             const TextSourceOptions& options);

}  // namespace akin::store
