// Errors, files, JSON and hashing: what they promise, and what they refuse.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"

namespace akin {
namespace {

namespace fs = std::filesystem;

fs::path scratch(const char* name) {
  return fs::temp_directory_path() /
         (std::string("akin_base_") + std::to_string(::getpid()) + name);
}

ErrorKind kind_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_FALSE(error.message().empty());
    return error.kind();
  }
  return ErrorKind::internal;
}

TEST(Error, QuotesForeignBytesAndFindsNearWords) {
  EXPECT_EQ(quote("a\n\"b"), "\"a\\x0a\\\"b\"");
  EXPECT_EQ(quote("\xff\xfe\xe4\xb8\xad\xe4\xb8\xed\xa0\x80"),
            "\"\\xff\\xfe\xe4\xb8\xad\\xe4\\xb8\\xed\\xa0\\x80\"");
  EXPECT_EQ(quote(std::string(100, 'x'), 4), "\"xxxx\"... (100 bytes)");
  constexpr std::array<std::string_view, 2> kWords = {"embed", "search"};
  EXPECT_EQ(nearest("emebd", kWords.data(), kWords.size()), "embed");
  EXPECT_EQ(nearest("zzzzzzzz", kWords.data(), kWords.size()), "");
}

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
  const fs::path path = scratch("atomic");
  {
    AtomicFile file(path);
    file.write("half");
  }
  EXPECT_FALSE(fs::exists(path));
  {
    AtomicFile file(path);
    file.write("0123456789");
    file.rewrite(2, "ab");
    file.commit();
  }
  EXPECT_EQ(read_file(path), "01ab456789");
  fs::remove(path);
}

TEST(AtomicFile, FullDiskIsAnIoError) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "skipped: no /dev/full";
  EXPECT_EQ(kind_of([] { write_file("/nowhere/at/all", "x"); }), ErrorKind::io);
}

TEST(MappedFile, MapsAndRefuses) {
  const fs::path path = scratch("map");
  write_file(path, "mapped");
  const MappedFile file(path);
  EXPECT_EQ(file.bytes().size(), 6U);
  EXPECT_EQ(static_cast<char>(file.bytes()[0]), 'm');
  fs::remove(path);
  EXPECT_EQ(kind_of([&] { MappedFile again(path); }), ErrorKind::not_found);
  EXPECT_EQ(kind_of([] { MappedFile folder("/"); }), ErrorKind::io);
}

TEST(Json, TypedReadsNameTheirPlace) {
  const JsonDocument document =
      JsonDocument::parse(R"({"a": {"b": [1, "x", 512.0, null]}, "s": "t"})", "f.json");
  const JsonValue root(document);
  EXPECT_EQ(root.at("a").at("b").items()[2].as_int(), 512);
  EXPECT_EQ(root.get("s", "d"), "t");
  EXPECT_EQ(root.get("absent", 7), 7);
  try {
    root.at("a").at("b").items()[1].as_int();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "f.json: a: b[1]: expected an integer, got a string");
  }
  try {
    root.at("a").at("b").items()[0].as_string();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "f.json: a: b[0]: expected a string, got 1");
  }
  EXPECT_EQ(kind_of([] { JsonDocument::parse("{", "f"); }), ErrorKind::bad_format);
  EXPECT_EQ(kind_of([] { JsonDocument::parse(std::string(100000, '['), "f"); }),
            ErrorKind::bad_format);
}

TEST(Json, IntegersBeyond64BitsAreDoubles) {
  const JsonDocument document = JsonDocument::parse(
      R"({"a": 1000000000000000019884624838656, "b": [-9223372036854775809, 18446744073709551615],
          "c": 9223372036854775807, "d": "99999999999999999999\"99999999999999999999",
          "e": 1.99999999999999999999, "f": 1e-10})",
      "f.json");
  const JsonValue root(document);
  EXPECT_EQ(root.at("a").as_double(), 1e30);
  EXPECT_EQ(root.at("b").items()[0].as_double(), -9223372036854775808.0);
  EXPECT_EQ(root.at("b").items()[1].element().get_uint64().value(), UINT64_MAX);
  EXPECT_EQ(root.at("c").as_int(), INT64_MAX);
  EXPECT_EQ(root.get("d", ""), "99999999999999999999\"99999999999999999999");
  EXPECT_EQ(root.at("e").as_double(), 2.0);
  EXPECT_EQ(root.at("f").as_double(), 1e-10);
  for (const char* broken : {"[99999999999999999999", "[099999999999999999999]", "[1.]",
                             "99999999999999999999e", "\"99999999999999999999\\"}) {
    EXPECT_EQ(kind_of([&] { JsonDocument::parse(broken, "f"); }), ErrorKind::bad_format) << broken;
  }
}

TEST(Hasher, LengthsKeepPartsApart) {
  Hasher a, b;
  a.add("ab");
  a.add("c");
  b.add("a");
  b.add("bc");
  EXPECT_NE(a.hex(), b.hex());
  EXPECT_EQ(a.hex().size(), 32U);
}

}  // namespace
}  // namespace akin
