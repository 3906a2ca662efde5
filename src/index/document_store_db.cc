#include "index/document_store_db.h"

#include <unistd.h>

#include "base/error.h"
#include "base/progress.h"

namespace akin::index {
namespace {

namespace fs = std::filesystem;

// A path as the file: address that carries SQLite's options.
std::string address(const fs::path& file, std::string_view options) {
  std::string out = "file:";
  for (const char c : fs::absolute(file).string()) {
    if (c == '?' || c == '#' || c == '%') {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + std::string(options);
}

// WAL needs a file beside the database even to read. Where none can be made and no writer can be,
// the file is read as it is.
bool cannot_change(const fs::path& file) {
  std::error_code error;
  return ::access(file.parent_path().c_str(), W_OK) != 0 &&
         !fs::exists(file.string() + "-wal", error);
}

ErrorKind kind_of(int code) {
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
      return ErrorKind::bad_format;
    case SQLITE_INTERRUPT:
      return ErrorKind::interrupted;
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
      return ErrorKind::internal;
    default:
      return ErrorKind::io;
  }
}

}  // namespace

Database::Database(const fs::path& file, Open how) : where_(file.string()) {
  std::error_code error;
  if (how != Open::create && !fs::is_regular_file(file, error)) {
    throw_error(ErrorKind::not_found, where_, "no such file");
  }
  const bool frozen = how == Open::read && cannot_change(file);
  int flags = SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  // A reader of a WAL database writes to the shared-memory file, so read-only is said by
  // query_only below.
  flags |= frozen ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (how == Open::create) flags |= SQLITE_OPEN_CREATE;
  const int code = sqlite3_open_v2(address(file, frozen ? "?immutable=1" : "").c_str(), &handle_,
                                   flags, nullptr);
  try {
    check(code);
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_timeout(handle_, 20000);
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
    run("PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16384;");
    if (how == Open::read) run("PRAGMA query_only=ON;");
  } catch (...) {
    sqlite3_close_v2(handle_);
    throw;
  }
}

Database::~Database() { sqlite3_close_v2(handle_); }

void Database::fail(int code) const {
  if ((code & 0xFF) == SQLITE_INTERRUPT) check_interrupted();  // in the words that all have
  const char* words = handle_ != nullptr && (sqlite3_errcode(handle_) & 0xFF) == (code & 0xFF)
                          ? sqlite3_errmsg(handle_)
                          : sqlite3_errstr(code);
  const ErrorKind kind = kind_of(code);
  throw_error(kind, where_, "{}{}", words,
              kind == ErrorKind::bad_format ? "; the file is damaged or no index of akin" : "");
}

void Database::run(const char* sql) {
  check(sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr));
}

int64_t Database::number(const char* sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.integer(0) : 0;
}

Statement::Statement(Database& database, std::string_view sql) : database_(database) {
  database_.check(sqlite3_prepare_v3(database_.handle(), sql.data(), static_cast<int>(sql.size()),
                                     SQLITE_PREPARE_PERSISTENT, &statement_, nullptr));
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::reset() {
  sqlite3_reset(statement_);
  return *this;
}

Statement& Statement::bind(int parameter, int64_t value) {
  database_.check(sqlite3_bind_int64(statement_, parameter, value));
  return *this;
}

Statement& Statement::bind(int parameter, std::string_view text) {
  database_.check(sqlite3_bind_text64(statement_, parameter, text.data() ? text.data() : "",
                                      text.size(), SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind_null(int parameter) {
  database_.check(sqlite3_bind_null(statement_, parameter));
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) {
    try {
      database_.fail(code);
    } catch (...) {
      sqlite3_reset(statement_);
      throw;
    }
  }
  return false;
}

void Statement::run() {
  while (step()) {
  }
  reset();
}

int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

Transaction::Transaction(Database& database, Kind kind) : database_(database) {
  database_.run(kind == Kind::read ? "BEGIN" : "BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (open_) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

}  // namespace akin::index
