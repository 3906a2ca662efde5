// Documents for an index from the files that users have: the text, an id, and the other fields of
// a row as metadata. Plain lines, folders and stdin as every command reads them (load.h); JSONL
// with its values as they are; CSV, TSV and Parquet by column.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/load.h"
#include "index/index.h"

namespace akin::cli {

struct IndexInputOptions {
  InputOptions input;
  std::vector<std::string> metadata;  // fields; empty: all but those of text and id
  bool keep_metadata = true;
  template <typename Visitor>
  void fields(Visitor& v) {
    input.fields(v);
    v("metadata=FIELD", metadata,
      "fields that filters can use; default all but those of --field and --id-field");
    v("[no-]keep-metadata", keep_metadata, "keep fields beside text and id");
  }
};

// Where a document came from, for messages and as the id of a row that has none.
struct IndexDocument {
  index::Document document;
  std::string file;
  uint64_t line = 0;
};

// One file after another. Not thread-safe. Rows with empty text are left out and counted.
class IndexInput {
 public:
  // Errors: usage, no input at all; not_found.
  IndexInput(std::vector<std::string> files, const IndexInputOptions& options,
             const Context& context);
  ~IndexInput();
  IndexInput(const IndexInput&) = delete;
  IndexInput& operator=(const IndexInput&) = delete;
  bool next(IndexDocument& out);
  uint64_t bad_rows() const;
  uint64_t empty_rows() const;
  uint64_t bytes_read() const;
  uint64_t bytes_total() const;  // 0: not known

  class Source;  // of one file

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace akin::cli
