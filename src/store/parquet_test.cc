// Parquet: files of four programs with every codec and encoding read here, damaged files, and the
// decoders on bytes made by hand. Files: tools/make_parquet_fixtures.mjs.
#include <zlib.h>

#include <cmath>

#include "base/file.h"
#include "store/parquet_decode.h"
#include "store/row_reader.h"
#include "store/test_files.h"
#include "store/thrift_compact.h"

namespace akin::store {
namespace {

using std::string_literals::operator""s;
using Columns = std::vector<std::string>;

std::string fixture(std::string_view name) {
  return read_file("src/store/testdata/" + std::string(name));
}

// A value as JSON-like text.
std::string show(const Value& value) {
  switch (value.kind) {
    case Value::Kind::null:
      return "null";
    case Value::Kind::integer:
      return fmt::format("{}", value.integer);
    case Value::Kind::real:
      return fmt::format("{}", value.real);
    case Value::Kind::text:
      return std::string(value.text);
    case Value::Kind::list:
      break;
  }
  std::string out = "[";
  for (const Value& item : value.list) out += (out.size() == 1 ? "" : ",") + show(item);
  return out + "]";
}

// Rows joined by "|"; lets nothing that is borrowed outlive its row.
std::vector<std::string> drain(RowReader& rows, size_t columns, size_t most = 1000) {
  std::vector<std::string> out;
  std::vector<Value> values(columns);
  while (out.size() < most && rows.next(values)) {
    std::string line;
    for (size_t i = 0; i < columns; ++i) line += (i == 0 ? "" : "|") + show(values[i]);
    out.push_back(std::move(line));
    EXPECT_EQ(rows.row(), out.size());
  }
  return out;
}
std::vector<std::string> read(std::string_view bytes, const Columns& columns,
                              RowOptions options = {}) {
  const auto rows = make_parquet_rows(bytes, "memory", columns, options);
  return drain(*rows, columns.size());
}

// The rule of the fixtures' table.
std::string cell(std::string_view column, int i) {
  if (column == "id") return fmt::format("doc{}", i);
  if (column == "label") return fmt::format("{}", i % 5);
  if (column == "big") return fmt::format("{}", (i - 3) * int64_t{10'000'000'000});
  if (column == "score") return fmt::format("{}", i / 4.0);
  if (column == "single") return fmt::format("{}", i / 8.0);
  if (column == "flag") return i % 3 == 0 ? "1" : "0";
  if (column == "translation.en") return fmt::format("en {}", i);
  if (column == "translation.zh") return fmt::format("\xE4\xB8\xAD {}", i);
  std::string out;
  if (column == "text") {
    for (int n = 0; n <= i % 3; ++n) out += fmt::format("text {} \xE6\x96\x87\xE6\x9C\xAC", i);
    return i % 7 == 3 ? "null" : out;
  }
  if (column == "tags") {
    if (i % 10 == 9) return "null";
    for (int j = 0; j < i % 4; ++j) {
      out += j == 1 && i % 5 == 2 ? ",null" : fmt::format("{}t{}.{}", j == 0 ? "" : ",", i, j);
    }
    return "[" + out + "]";
  }
  for (int j = 0; j < i % 3; ++j) {  // nested
    out += j == 0 ? "[" : ",[";
    for (int k = 0; k < j; ++k) out += fmt::format("{}{}", k == 0 ? "" : ",", i + k);
    out += "]";
  }
  return "[" + out + "]";
}

void expect_table(std::string_view name, const Columns& columns) {
  const std::string bytes = fixture(name);
  const auto check = [&](const Columns& some) {
    const std::vector<std::string> rows = read(bytes, some);
    ASSERT_EQ(rows.size(), 50U) << name;
    for (int i = 0; i < 50; ++i) {
      std::string expected;
      for (const std::string& column : some) {
        expected += (expected.empty() ? "" : "|") + cell(column, i);
      }
      EXPECT_EQ(rows[static_cast<size_t>(i)], expected) << name << " row " << i;
    }
  };
  check(columns);
  for (const std::string& column : columns) check({column});
}

const Columns kFlat = {"id", "text", "label", "score", "flag"};
const Columns kNested = {"id",     "text", "label",          "big",           "score",
                         "single", "flag", "translation.en", "translation.zh"};
const Columns kLists = {"tags", "nested", "id"};

TEST(Parquet, EveryWriter) {
  for (const char* name : {"arrow_snappy.parquet", "arrow_gzip_v2.parquet", "arrow_delta.parquet",
                           "arrow_pages.parquet"}) {
    expect_table(name, kNested);
    expect_table(name, kLists);
  }
  for (const char* name : {"duckdb_snappy.parquet", "duckdb_v2.parquet", "polars_zstd.parquet"}) {
    expect_table(name, kNested);
    expect_table(name, {"tags"});
  }
  expect_table("hyparquet_snappy.parquet", kFlat);
}

TEST(Parquet, ColumnsAreAskedFor) {
  const std::string bytes = fixture("duckdb_snappy.parquet");
  EXPECT_EQ(list_parquet_columns(bytes, "m"),
            (Columns{"id", "text", "label", "big", "score", "single", "flag", "tags",
                     "translation.en", "translation.zh"}));
  EXPECT_EQ(read(bytes, {"_id|id", "title?", "label"})[7], "doc7|null|2");
  expect_error(ErrorKind::bad_format,
               "memory: no column named \"query-id\" or \"qid\"; the columns are: \"id\", \"text\"",
               [&] { read(bytes, {"query-id|qid"}); });
  expect_error(ErrorKind::unsupported, "holds structs; name one of its fields, as in \"translat",
               [&] { read(bytes, {"translation"}); });
  expect_error(ErrorKind::unsupported, "LZ4_RAW, which is not read here",
               [&] { read(fixture("lz4.parquet"), {"id"}); });
}

TEST(Parquet, RealFile) {
  const std::filesystem::path path =
      "../shared/data/weights_bert_tiny_sst2_encoder_partial/SST-2-val.parquet";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "skipped: no shared data";
  const Columns columns = {"idx", "sentence", "label"};
  const auto rows = open_rows(path, columns);
  std::vector<Value> values(3);
  int64_t n = 0, positive = 0;
  while (rows->next(values)) {
    EXPECT_EQ(as_integer(values[0], *rows, "idx"), n++);
    std::string scratch;
    EXPECT_FALSE(as_text(values[1], *rows, "sentence", scratch).empty());
    positive += as_integer(values[2], *rows, "label");
  }
  EXPECT_EQ(n, 872);
  EXPECT_EQ(positive, 444);
  EXPECT_EQ(rows->bytes_read(), rows->bytes_total());
}

TEST(Parquet, BrokenFiles) {
  const std::string good = fixture("arrow_snappy.parquet");
  const auto bad = [](std::string_view part, std::string_view bytes) {
    expect_error(ErrorKind::bad_format, part, [&] { read(bytes, {"id"}); });
  };
  bad("memory: the file is empty", "");
  bad("not a Parquet file: it begins with \"{\\\"a", "{\"a\":1}");
  bad("Git LFS pointer", "version https://git-lfs.github.com/spec/v1\n");
  bad("cut short", std::string_view(good).substr(0, good.size() - 1));
  bad("cut short", "PAR1");
  bad("the Parquet footer says", "PAR1\xFF\xFF\xFF\x7FPAR1");
  bad("no schema", "PAR1\0\1\0\0\0PAR1"s);
  expect_error(ErrorKind::unsupported, "encrypted", [] { read("PARE1234PARE", {"id"}); });
  std::string page = good;  // the first page's compressed bytes
  for (size_t i = 40; i < 60; ++i) page[i] = '\xFF';
  EXPECT_EQ(error_of([&] { read(page, {"id"}); }).kind(), ErrorKind::bad_format);
}

// Every file with each byte changed, and cut at each place: an error or other rows, never a crash.
TEST(Parquet, DamageIsAnError) {
  for (const char* name : {"arrow_delta.parquet", "arrow_gzip_v2.parquet", "arrow_pages.parquet",
                           "duckdb_v2.parquet"}) {
    const std::string good = fixture(name);
    const size_t step = 13;
    for (size_t i = 0; i < good.size(); i += step) {
      for (const char flip : {'\x01', '\x80', '\xFF'}) {
        std::string bytes = good;
        bytes[i] = static_cast<char>(bytes[i] ^ flip);
        try {
          const Columns columns = {"id?", "text?", "tags?", "nested?", "big?", "score?", "flag?"};
          const auto rows = make_parquet_rows(bytes, "memory", columns, {.max_row_bytes = 1 << 20});
          drain(*rows, columns.size(), 100);
        } catch (const Error& error) {
          EXPECT_NE(error.kind(), ErrorKind::internal) << error.what();
        }
      }
    }
  }
}

TEST(Parquet, LongRowIsAnError) {
  RowOptions options;
  options.max_row_bytes = 150;  // two items of a list
  expect_error(ErrorKind::bad_format, "longer than 150 bytes",
               [&] { read(fixture("arrow_pages.parquet"), {"tags"}, options); });
}

std::vector<uint32_t> runs(std::string_view bytes, unsigned width, size_t most = 100) {
  RunDecoder decoder(bytes, width);
  std::vector<uint32_t> out;
  for (uint32_t value = 0; out.size() < most && decoder.next(value);) out.push_back(value);
  return out;
}

TEST(ParquetDecode, Runs) {
  // Eight numbers 0..7 of 3 bits, as in Encodings.md, then 5 times 6.
  EXPECT_EQ(runs("\x03\x88\xC6\xFA\x0A\x06", 3),
            (std::vector<uint32_t>{0, 1, 2, 3, 4, 5, 6, 7, 6, 6, 6, 6, 6}));
  EXPECT_EQ(runs("\x04\x01\x02\x03\x04", 32), (std::vector<uint32_t>(2, 0x04030201)));
  EXPECT_EQ(runs("\x06", 0), (std::vector<uint32_t>(3, 0)));
  EXPECT_EQ(runs("\x03\x88", 3), (std::vector<uint32_t>{0, 1}));  // cut
  EXPECT_TRUE(runs("\x06", 3).empty());
  EXPECT_TRUE(runs("\x80", 3).empty());
  EXPECT_TRUE(runs("\x06\x01", 33).empty());
  EXPECT_TRUE(runs("", 1).empty());
}

std::vector<int64_t> deltas(std::string_view bytes) {
  DeltaDecoder decoder(bytes);
  std::vector<int64_t> out;
  for (int64_t value = 0; decoder.next(value);) out.push_back(value);
  return out;
}

TEST(ParquetDecode, Deltas) {
  // Encodings.md: 1, 2, 3, 4, 5 in blocks of 128, 4 miniblocks: differences all 1, width 0.
  const std::string one = "\x80\x01\x04\x05\x02\x02\0\0\0\0"s;
  EXPECT_EQ(deltas(one), (std::vector<int64_t>{1, 2, 3, 4, 5}));
  // 7, 5, 3, 1, 2, 3, 4, 5: least difference -2, then 0 0 0 3 3 3 3 of 2 bits.
  const std::string two = "\x80\x01\x04\x08\x0E\x03\x02\0\0\0\xC0\x3F\0\0\0\0\0\0"s;
  EXPECT_EQ(deltas(two), (std::vector<int64_t>{7, 5, 3, 1, 2, 3, 4, 5}));
  std::string_view numbers, behind;
  ASSERT_TRUE(DeltaDecoder::split(two + "rest", numbers, behind));
  ASSERT_TRUE(DeltaDecoder::split(one, numbers, behind));
  EXPECT_TRUE(behind.empty());
  EXPECT_EQ(deltas(two.substr(0, 12)), (std::vector<int64_t>{7}));  // cut: stops
  EXPECT_TRUE(deltas("\x80\x01\0\x05\x02"s).empty());               // no miniblocks
  EXPECT_TRUE(deltas("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x01\x05\x02").empty());
  EXPECT_EQ(deltas("\x80\x01\x04\x01\x02"), (std::vector<int64_t>{1}));
}

TEST(ParquetDecode, Bits) {
  const std::string bytes = "\x01\x02\x03\x04\x05\x06\x07\x08\x09"s;
  EXPECT_EQ(unpack_bits(bytes, 0, 64), 0x0807060504030201U);
  EXPECT_EQ(unpack_bits(bytes, 4, 64), 0x9080706050403020U);
  EXPECT_EQ(unpack_bits(bytes, 64, 8), 9U);
  EXPECT_EQ(unpack_bits(bytes, 60, 8), 0x90U);
  EXPECT_EQ(unpack_bits(bytes, 3, 0), 0U);
}

TEST(Thrift, Limits) {
  const auto skip = [](std::string_view bytes) {
    ThriftReader in(bytes, "t");
    in.skip(ThriftReader::Type::structure);
    return in.rest().size();
  };
  EXPECT_EQ(skip("\x15\x02\x18\x03"s + "abc\0x"s), 1U);
  expect_error(ErrorKind::bad_format, "nested too deep", [&] { skip(std::string(100, '\x1C')); });
  expect_error(ErrorKind::bad_format, "cut short", [&] {
    skip(
        "\x18\x7F"
        "a");
  });
  expect_error(ErrorKind::bad_format, "64 bits", [&] { skip("\x16" + std::string(11, '\xFF')); });
  expect_error(ErrorKind::bad_format, "unknown type", [&] { skip("\x1D"); });
  // Booleans of a map take a byte each, so that a count beyond the bytes is a lie.
  EXPECT_EQ(skip("\x1B\x02\x12\x01\x01\x01\x01\0"s), 0U);
  expect_error(ErrorKind::bad_format, "longer than the file",
               [&] { skip("\x1B\xFF\xFF\xFF\xFF\x7F\x11"); });
  expect_error(ErrorKind::bad_format, "longer than the file",
               [&] { skip("\x19\xFC\xFF\xFF\xFF\xFF\x7F\0"s); });
  expect_error(ErrorKind::bad_format, "longer than the file", [] {
    ThriftReader("\xF5\xFF\xFF\xFF\x7F", "t").read_list(ThriftReader::Type::i32);
  });
}

}  // namespace
}  // namespace akin::store
