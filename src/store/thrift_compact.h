// Reads the Thrift compact protocol, the form of Parquet's footers and page headers. A reader of
// fields, not of any one structure. Internal to store/. Follows "Thrift Compact protocol encoding"
// of Apache Thrift.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace akin::store {

// Bounds-checked; the bytes are borrowed. Errors: bad_format, with `where` given.
class ThriftReader {
 public:
  enum class Type : uint8_t {
    stop = 0,
    yes = 1,  // a boolean field that is true
    no = 2,
    i8 = 3,
    i16 = 4,
    i32 = 5,
    i64 = 6,
    real = 7,
    binary = 8,
    list = 9,
    set = 10,
    map = 11,
    structure = 12
  };
  struct Field {
    int id = 0;
    Type type = Type::stop;
  };

  ThriftReader(std::string_view bytes, std::string_view where) : rest_(bytes), where_(where) {}

  // for (Field f; reader.next_field(f);) ... : the fields of one structure, up to its stop. Each
  // must be read or skipped. f starts as {} for a structure and carries the field number on.
  bool next_field(Field& field);
  void skip(Type type);

  // Integers of any width. expect() checks the type first.
  int64_t read_integer();
  std::string_view read_binary();
  // The count of a list whose items are of `item`; at most the bytes left, so a lying count costs
  // nothing.
  size_t read_list(Type item);

  int64_t integer(Field field);
  int32_t int32(Field field);
  std::string_view binary(Field field);
  bool boolean(Field field) const;
  size_t list(Field field, Type item);
  void structure(Field field) const;

  std::string_view rest() const { return rest_; }
  [[noreturn]] void fail(std::string_view what) const;

 private:
  uint8_t byte();
  uint64_t varint();
  void check_count(uint64_t count) const;
  void skip(Type type, int depth);
  void skip_item(Type type, int depth);
  void expect(Field field, Type type) const;

  std::string_view rest_;
  std::string where_;
};

}  // namespace akin::store
