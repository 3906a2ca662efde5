// The SQLite side of an index: which documents there are, their texts and metadata, the row of the
// vector store that each one's vector lies in, and the words for BM25. Knows no vectors.
//
// A document gets a number that is never used again; a replaced document is a new one. Rows are
// given out in the order of numbers, so both ascend together; compacting renumbers the rows only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "index/document_store_db.h"
#include "index/index.h"
#include "index/words_postings.h"

namespace akin::index {

// The one row of the table state.
struct StoreState {
  int64_t generation = 1;   // of the folder with the vectors
  int64_t rows = 0;         // valid rows of the vector store
  int64_t removed = 0;      // of those, rows of documents that are gone
  int64_t next_number = 0;  // of the next document
  int64_t total_words = 0;  // of the documents there are
  int64_t graph_saves = 0;  // how often a graph was written in this generation
  bool operator==(const StoreState&) const = default;
};

// The documents there are, in ascending order of numbers.
struct LiveDocuments {
  std::vector<int64_t> numbers;
  std::vector<uint32_t> rows, words;  // beside numbers: the vector's row, the count of words
};

// One connection. Not thread-safe. Calls that read several things belong in one Transaction.
class DocumentStore {
 public:
  static constexpr const char* kFileName = "index.db";

  // Everything in one transaction: a crash leaves a file that is_complete() denies.
  static void create(const std::filesystem::path& folder, const IndexSpec& spec);
  static bool is_complete(const std::filesystem::path& folder);

  // Errors: not_found; bad_format, another program's database or a newer version of this one.
  DocumentStore(const std::filesystem::path& folder, bool writable);

  Database& database() { return database_; }
  IndexSpec spec();  // Errors: bad_format, every field checked
  StoreState state();

  // Appends the documents with numbers >= first to `out`.
  void read_live(int64_t first, LiveDocuments& out);
  // Calls with each document whose number is >= first, ascending.
  void each_metadata(
      int64_t first,
      const std::function<void(int64_t number, std::string_view id, std::string_view metadata)>& f);
  std::optional<int64_t> find(std::string_view id);
  // Errors: bad_format, a number that is not there.
  Document read(int64_t number);

  // Within a write transaction. Both keep `state` (rows, numbers, words, removed) up to date; it is
  // written by write_state().
  void insert(const Document& document, bool with_words, StoreState& state);
  bool remove(std::string_view id, bool with_words, StoreState& state);
  void write_state(const StoreState& state);
  // Row i becomes that of the i-th document there is.
  void renumber_rows(StoreState& state);
  // Outside a transaction: merges the words' postings, gives free pages back.
  void tidy(bool with_words);

 private:
  void prepare_writes();
  Database database_;
  struct Reads {
    explicit Reads(Database& database);
    Statement state, find, read, live, metadata;
  };
  struct Writes {
    explicit Writes(Database& database);
    Statement document, row, remove_document, remove_row, state, count_words;
  };
  struct WordWrites {
    explicit WordWrites(Database& database);
    Statement insert, remove;
  };
  std::optional<Reads> reads_;
  std::optional<Writes> writes_;
  std::optional<WordWrites> words_;
};

std::string spec_to_json(const IndexSpec& spec);
// Errors: bad_format.
IndexSpec spec_from_json(std::string_view json, const std::string& where);

}  // namespace akin::index
