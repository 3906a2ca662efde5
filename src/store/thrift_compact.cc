// See thrift_compact.h.
#include "store/thrift_compact.h"

#include "base/error.h"

namespace akin::store {
namespace {

constexpr int kMaxDepth = 32;

}  // namespace

void ThriftReader::fail(std::string_view what) const {
  throw_error(ErrorKind::bad_format, where_, "{}; the file is damaged, get it again", what);
}

uint8_t ThriftReader::byte() {
  if (rest_.empty()) fail("the Parquet metadata is cut short");
  const auto out = static_cast<uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return out;
}

uint64_t ThriftReader::varint() {
  uint64_t out = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const uint8_t b = byte();
    out |= static_cast<uint64_t>(b & 0x7FU) << shift;
    if ((b & 0x80U) == 0) return out;
  }
  fail("the Parquet metadata holds a number of more than 64 bits");
}

int64_t ThriftReader::read_integer() {
  const uint64_t zigzag = varint();
  return static_cast<int64_t>(zigzag >> 1) ^ -static_cast<int64_t>(zigzag & 1U);
}

std::string_view ThriftReader::read_binary() {
  const uint64_t size = varint();
  if (size > rest_.size()) fail("the Parquet metadata is cut short");
  const std::string_view out = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return out;
}

size_t ThriftReader::read_list(Type item) {
  const uint8_t head = byte();
  uint64_t count = head >> 4;
  if (count == 15) count = varint();
  check_count(count);
  if (count > 0 && static_cast<Type>(head & 15U) != item) {
    fail("the Parquet metadata holds a list of an unexpected type");
  }
  return count;
}

bool ThriftReader::next_field(Field& field) {
  const uint8_t head = byte();
  if (head == 0) return false;
  const unsigned delta = head >> 4;
  const int64_t id = delta == 0 ? read_integer() : field.id + static_cast<int64_t>(delta);
  if (id < INT16_MIN || id > INT16_MAX) fail("the Parquet metadata holds a bad field number");
  field.id = static_cast<int>(id);
  field.type = static_cast<Type>(head & 15U);
  if (field.type > Type::structure || field.type == Type::stop) {
    fail("the Parquet metadata holds a field of an unknown type");
  }
  return true;
}

// Every item takes a byte at least.
void ThriftReader::check_count(uint64_t count) const {
  if (count > rest_.size()) fail("the Parquet metadata holds a list longer than the file");
}

void ThriftReader::skip(Type type) { skip(type, 0); }

// Booleans in a list or map take a byte each; those of a structure are in the field's type.
// NOLINTNEXTLINE(misc-no-recursion): as skip
void ThriftReader::skip_item(Type type, int depth) {
  skip(type == Type::yes || type == Type::no ? Type::i8 : type, depth);
}

// NOLINTNEXTLINE(misc-no-recursion): at most kMaxDepth deep
void ThriftReader::skip(Type type, int depth) {
  if (depth > kMaxDepth) fail("the Parquet metadata is nested too deep");
  switch (type) {
    case Type::yes:
    case Type::no:
      return;
    case Type::i8:
      byte();
      return;
    case Type::i16:
    case Type::i32:
    case Type::i64:
      varint();
      return;
    case Type::real:
      for (int i = 0; i < 8; ++i) byte();
      return;
    case Type::binary:
      read_binary();
      return;
    case Type::list:
    case Type::set: {
      const uint8_t head = byte();
      uint64_t count = head >> 4;
      if (count == 15) count = varint();
      check_count(count);
      for (; count > 0; --count) skip_item(static_cast<Type>(head & 15U), depth + 1);
      return;
    }
    case Type::map: {
      uint64_t count = varint();
      if (count == 0) return;
      const uint8_t types = byte();
      check_count(count);
      for (; count > 0; --count) {
        skip_item(static_cast<Type>(types >> 4), depth + 1);
        skip_item(static_cast<Type>(types & 15U), depth + 1);
      }
      return;
    }
    case Type::structure:
      for (Field field; next_field(field);) skip(field.type, depth + 1);
      return;
    case Type::stop:
      break;
  }
  fail("the Parquet metadata holds a field of an unknown type");
}

void ThriftReader::expect(Field field, Type type) const {
  if (field.type != type) {
    fail(fmt::format("field {} of the Parquet metadata has type {}, expected {}", field.id,
                     static_cast<int>(field.type), static_cast<int>(type)));
  }
}

int64_t ThriftReader::integer(Field field) {
  if (field.type == Type::i8) return static_cast<int8_t>(byte());
  if (field.type < Type::i16 || field.type > Type::i64) expect(field, Type::i64);
  return read_integer();
}

int32_t ThriftReader::int32(Field field) {
  const int64_t value = integer(field);
  if (value < INT32_MIN || value > INT32_MAX) fail("the Parquet metadata holds a bad number");
  return static_cast<int32_t>(value);
}

std::string_view ThriftReader::binary(Field field) {
  expect(field, Type::binary);
  return read_binary();
}

bool ThriftReader::boolean(Field field) const {
  if (field.type != Type::no) expect(field, Type::yes);
  return field.type == Type::yes;
}

size_t ThriftReader::list(Field field, Type item) {
  expect(field, Type::list);
  return read_list(item);
}

void ThriftReader::structure(Field field) const { expect(field, Type::structure); }

}  // namespace akin::store
