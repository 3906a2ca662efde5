// SQLite as the rest of this room sees it: a connection and its statements, with our errors. Knows
// no table. Internal to index/.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace akin::index {

// Not thread-safe: one thread at a time. Errors of every call: bad_format (a damaged file or one
// that is no database), io (disk full, permission), interrupted, internal.
class Database {
 public:
  enum class Open : uint8_t { read, write, create };
  // read: also from a folder that cannot be written to.
  Database(const std::filesystem::path& file, Open how);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void run(const char* sql);  // statements without parameters or answers
  int64_t number(const char* sql);
  sqlite3* handle() const { return handle_; }
  const std::string& where() const { return where_; }
  [[noreturn]] void fail(int code) const;
  void check(int code) const {
    if (code != SQLITE_OK) fail(code);
  }

 private:
  sqlite3* handle_ = nullptr;
  std::string where_;
};

// A prepared statement: bind, then step() until it says false; reset() before the next use.
class Statement {
 public:
  Statement(Database& database, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& reset();
  // Parameters from 1. Text is copied only when the statement says so: it must live until reset().
  Statement& bind(int parameter, int64_t value);
  Statement& bind(int parameter, std::string_view text);
  Statement& bind_null(int parameter);
  bool step();
  void run();  // to the end, then reset
  // Columns from 0. Text lives until the next step() or reset().
  int64_t integer(int column) const;
  std::string_view text(int column) const;

 private:
  Database& database_;
  sqlite3_stmt* statement_ = nullptr;
};

// Rolled back unless committed.
class Transaction {
 public:
  enum class Kind : uint8_t { read, write };
  Transaction(Database& database, Kind kind);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace akin::index
