// Records from the files that people have, by the names of their fields: our own JSONL,
// FlagEmbedding's query/pos/neg, sentence-transformers columns, uniem's, BEIR folders, or any
// columns that a map names. JSONL, JSON, CSV, TSV (also .gz and .zst) and Parquet. Streaming.
// Judges no text: that is filters/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/record.h"

namespace akin::data {

struct ReadOptions {
  // "query=title", "positive=2", "negatives=a", "label=score", ...: instead of known names. A field
  // named more than once collects (negatives). Empty: by known names.
  std::vector<std::string> map = {};
  bool skip_bad_rows = false;   // else the first bad row is Error(bad_format)
  std::string split = "train";  // of a BEIR folder's qrels
  std::string task = {};        // for records that name none
  std::string source = {};      // for records that name none; empty: the file's name
  bool single = false;          // rows of one text (also lines of a .txt): the query; no positive
  bool any_shape = false;       // pairs, or, where a file's columns are none, what else they are
  bool classes = false;  // rows of a text and its class: the query, and its class as the positive
  // Labels that are words, or other numbers than are wanted: "entailment=1", "neutral=0.5",
  // "-=drop" (such rows are left out and counted). Empty: labels are numbers. Else every label must
  // be one of these.
  std::vector<std::string> labels = {};
};

struct BadRow {
  std::string where, message;
};

// One reader at a time may be used by one thread at a time.
class RecordReader {
 public:
  // Bad rows that are kept with their place and reason; later ones are only counted.
  static constexpr size_t kBadRowsKept = 20;

  virtual ~RecordReader() = default;
  virtual bool next(Record& record) = 0;  // false at the end
  virtual uint64_t rows() const = 0;      // read so far, bad ones too
  virtual uint64_t bad_rows() const = 0;
  virtual const std::vector<BadRow>& first_bad_rows() const = 0;
  virtual uint64_t dropped_rows() const { return 0; }  // whose label is to be dropped
  virtual uint64_t bytes_read() const = 0;             // of the file, for progress
};

struct OpenedRecords {
  std::unique_ptr<RecordReader> reader;
  std::string layout;        // in words: "query, pos, neg"
  uint64_t bytes_total = 0;  // 0: not known
};

// What open_records() makes of the file's rows. Errors: as open_records().
RowShape row_shape(const std::filesystem::path& path, const ReadOptions& options);

// Errors: not_found, io, usage (a map that cannot be), bad_format (no known columns: lists those
// that there are; the first row must be sound, for it says which columns there are).
OpenedRecords open_records(const std::filesystem::path& path, const ReadOptions& options);

// "set" of "data/set.jsonl.gz".
std::string source_name(const std::filesystem::path& path);

}  // namespace akin::data
