#include "index/document_store.h"

#include "base/error.h"
#include "base/progress.h"
#include "index/words.h"

namespace akin::index {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kApplication = 0x616B696E;  // "akin", in the header of the file
constexpr int64_t kVersion = 1;

constexpr const char* kSchema =
    "CREATE TABLE spec(json TEXT NOT NULL);"
    "CREATE TABLE state(generation INTEGER NOT NULL, rows INTEGER NOT NULL,"
    " removed INTEGER NOT NULL, next_number INTEGER NOT NULL, total_words INTEGER NOT NULL,"
    " graph_saves INTEGER NOT NULL);"
    // Metadata before text: a filter reads the one and not the other.
    "CREATE TABLE documents(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, metadata TEXT,"
    " text TEXT NOT NULL);"
    "CREATE TABLE rows(number INTEGER PRIMARY KEY, row INTEGER NOT NULL, words INTEGER NOT NULL);"
    "INSERT INTO state VALUES(1, 0, 0, 0, 0, 0);";
constexpr const char* kWordsSchema =
    "CREATE VIRTUAL TABLE words USING fts5(text, content='documents', content_rowid='number',"
    " columnsize=0, tokenize='akin');";

int stop_when_interrupted(void*) { return interrupt_flag().load() ? 1 : 0; }

void check_header(Database& database) {
  if (database.number("PRAGMA application_id") != kApplication) {
    throw_error(ErrorKind::bad_format, database.where(), "is a database, but no index of akin");
  }
  const int64_t version = database.number("PRAGMA user_version");
  if (version != kVersion) {
    throw_error(ErrorKind::bad_format, database.where(),
                "has format {}, this version of akin reads {}; build the index again", version,
                kVersion);
  }
}

}  // namespace

DocumentStore::Reads::Reads(Database& database)
    : state(database,
            "SELECT generation, rows, removed, next_number, total_words, graph_saves FROM state"),
      find(database, "SELECT number FROM documents WHERE id = ?1"),
      read(database, "SELECT id, text, metadata FROM documents WHERE number = ?1"),
      live(database, "SELECT number, row, words FROM rows WHERE number >= ?1 ORDER BY number"),
      metadata(database,
               "SELECT number, id, metadata FROM documents WHERE number >= ?1 ORDER BY number") {}

DocumentStore::Writes::Writes(Database& database)
    : document(database, "INSERT INTO documents(number, id, metadata, text) VALUES(?1,?2,?3,?4)"),
      row(database, "INSERT INTO rows(number, row, words) VALUES(?1, ?2, ?3)"),
      remove_document(database, "DELETE FROM documents WHERE number = ?1"),
      remove_row(database, "DELETE FROM rows WHERE number = ?1"),
      state(database,
            "UPDATE state SET generation = ?1, rows = ?2, removed = ?3, next_number = ?4,"
            " total_words = ?5, graph_saves = ?6"),
      count_words(database, "SELECT words FROM rows WHERE number = ?1") {}

DocumentStore::WordWrites::WordWrites(Database& database)
    : insert(database, "INSERT INTO words(rowid, text) VALUES(?1, ?2)"),
      remove(database, "INSERT INTO words(words, rowid, text) VALUES('delete', ?1, ?2)") {}

void DocumentStore::create(const fs::path& folder, const IndexSpec& spec) {
  Database database(folder / kFileName, Database::Open::create);
  database.run("PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
  register_words(database);
  Transaction transaction(database, Transaction::Kind::write);
  database.run(kSchema);
  if (spec.words) database.run(kWordsSchema);
  const std::string json = spec_to_json(spec);
  Statement(database, "INSERT INTO spec VALUES(?1)").bind(1, std::string_view(json)).run();
  database.run(
      fmt::format("PRAGMA application_id={}; PRAGMA user_version={};", kApplication, kVersion)
          .c_str());
  transaction.commit();
}

bool DocumentStore::is_complete(const fs::path& folder) {
  std::error_code error;
  const fs::path file = folder / kFileName;
  if (!fs::is_regular_file(file, error)) return false;
  Database database(file, Database::Open::read);
  if (database.number("SELECT count(*) FROM sqlite_master") == 0) return false;
  check_header(database);
  return database.number("SELECT count(*) FROM spec") == 1;
}

DocumentStore::DocumentStore(const fs::path& folder, bool writable)
    : database_(folder / kFileName, writable ? Database::Open::write : Database::Open::read) {
  check_header(database_);
  if (writable) database_.run("PRAGMA synchronous=FULL;");
  sqlite3_progress_handler(database_.handle(), 100000, stop_when_interrupted, nullptr);
  register_words(database_);
  reads_.emplace(database_);
}

IndexSpec DocumentStore::spec() {
  Statement statement(database_, "SELECT json FROM spec");
  if (!statement.step()) {
    throw_error(ErrorKind::bad_format, database_.where(), "has no spec; the file is damaged");
  }
  return spec_from_json(statement.text(0), database_.where());
}

StoreState DocumentStore::state() {
  auto& s = reads_->state.reset();
  StoreState out;
  bool good = s.step();
  if (good) {
    out = {s.integer(0), s.integer(1), s.integer(2), s.integer(3), s.integer(4), s.integer(5)};
    good = out.generation > 0 && out.rows >= 0 && out.rows <= int64_t{UINT32_MAX} &&
           out.removed >= 0 && out.removed <= out.rows && out.next_number >= 0 &&
           out.total_words >= 0;
  }
  s.reset();
  if (!good) throw_error(ErrorKind::bad_format, database_.where(), "its state makes no sense");
  return out;
}

void DocumentStore::read_live(int64_t first, LiveDocuments& out) {
  auto& s = reads_->live.reset().bind(1, first);
  const int64_t rows = state().rows;
  int64_t last_row = out.rows.empty() ? -1 : int64_t{out.rows.back()};
  while (s.step()) {
    const int64_t row = s.integer(1), words = s.integer(2);
    if (row <= last_row || row >= rows || words < 0 || words > int64_t{UINT32_MAX}) {
      s.reset();
      throw_error(ErrorKind::bad_format, database_.where(), "its table of rows makes no sense");
    }
    last_row = row;
    out.numbers.push_back(s.integer(0));
    out.rows.push_back(static_cast<uint32_t>(row));
    out.words.push_back(static_cast<uint32_t>(words));
  }
  s.reset();
}

void DocumentStore::each_metadata(
    int64_t first, const std::function<void(int64_t, std::string_view, std::string_view)>& f) {
  auto& s = reads_->metadata.reset().bind(1, first);
  while (s.step()) f(s.integer(0), s.text(1), s.text(2));
  s.reset();
}

std::optional<int64_t> DocumentStore::find(std::string_view id) {
  auto& s = reads_->find.reset().bind(1, id);
  std::optional<int64_t> out;
  if (s.step()) out = s.integer(0);
  s.reset();
  return out;
}

Document DocumentStore::read(int64_t number) {
  auto& s = reads_->read.reset().bind(1, number);
  if (!s.step()) {
    throw_error(ErrorKind::bad_format, database_.where(), "document number {} is missing", number);
  }
  Document out{std::string(s.text(0)), std::string(s.text(1)), std::string(s.text(2))};
  s.reset();
  return out;
}

void DocumentStore::prepare_writes() {
  if (!writes_) writes_.emplace(database_);
}

void DocumentStore::insert(const Document& document, bool with_words, StoreState& state) {
  prepare_writes();
  const int64_t number = state.next_number++, row = state.rows++;
  auto& insert = writes_->document.bind(1, number).bind(2, std::string_view(document.id));
  if (document.metadata.empty()) {
    insert.bind_null(3);
  } else {
    insert.bind(3, std::string_view(document.metadata));
  }
  insert.bind(4, std::string_view(document.text)).run();
  int64_t words = 0;
  if (with_words) {
    if (!words_) words_.emplace(database_);
    words_->insert.bind(1, number).bind(2, std::string_view(document.text)).run();
    words = count_words(document.text);
    state.total_words += words;
  }
  writes_->row.bind(1, number).bind(2, row).bind(3, words).run();
}

bool DocumentStore::remove(std::string_view id, bool with_words, StoreState& state) {
  const auto number = find(id);
  if (!number) return false;
  prepare_writes();
  if (with_words) {
    if (!words_) words_.emplace(database_);
    const auto document = read(*number);
    words_->remove.bind(1, *number).bind(2, std::string_view(document.text)).run();
    auto& count = writes_->count_words.bind(1, *number);
    if (count.step()) state.total_words -= count.integer(0);
    count.reset();
  }
  writes_->remove_document.bind(1, *number).run();
  writes_->remove_row.bind(1, *number).run();
  ++state.removed;
  return true;
}

void DocumentStore::write_state(const StoreState& state) {
  prepare_writes();
  writes_->state.bind(1, state.generation)
      .bind(2, state.rows)
      .bind(3, state.removed)
      .bind(4, state.next_number)
      .bind(5, state.total_words)
      .bind(6, state.graph_saves)
      .run();
}

void DocumentStore::renumber_rows(StoreState& state) {
  prepare_writes();
  LiveDocuments live;
  read_live(0, live);
  database_.run("DELETE FROM rows");
  for (size_t i = 0; i < live.numbers.size(); ++i) {
    writes_->row.bind(1, live.numbers[i])
        .bind(2, static_cast<int64_t>(i))
        .bind(3, int64_t{live.words[i]})
        .run();
  }
  state.rows = static_cast<int64_t>(live.numbers.size());
  state.removed = 0;
}

void DocumentStore::tidy(bool with_words) {
  if (with_words) database_.run("INSERT INTO words(words) VALUES('optimize')");
  const int64_t pages = database_.number("PRAGMA page_count");
  if (database_.number("PRAGMA freelist_count") * 10 > pages) database_.run("VACUUM");
  database_.run("PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace akin::index
