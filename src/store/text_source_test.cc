// Rows of text: every format, compression, and what happens to damaged or hostile input.
#include "store/text_source.h"

#include <zlib.h>
#include <zstd.h>

#include "base/log.h"
#include "store/row_source.h"
#include "store/test_files.h"

namespace akin::store {
namespace {

using std::string_literals::operator""s;
using Rows = std::vector<std::string>;

std::string gzip(std::string_view bytes) {
  z_stream z{};
  EXPECT_EQ(::deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(::deflateBound(&z, bytes.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&z, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - z.avail_out);
  ::deflateEnd(&z);
  return out;
}

std::string zstd(std::string_view bytes) {
  std::string out(::ZSTD_compressBound(bytes.size()), '\0');
  out.resize(::ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
  return out;
}

// Values of every row, joined by "|"; the id, if any, first with ":".
Rows drain(TextSource& source) {
  Rows out;
  TextRow row;
  while (source.next(row)) {
    out.push_back((row.id.empty() ? "" : row.id + ":") +
                  fmt::format("{}", fmt::join(row.values, "|")));
  }
  return out;
}
Rows read(std::string_view bytes, TextSourceOptions options) {
  return drain(*make_text_source(open_memory_stream(bytes), "memory", options));
}
Rows read_lines(std::string_view bytes) { return read(bytes, {.format = TextFormat::lines}); }

TEST(TextSource, Lines) {
  EXPECT_EQ(read_lines(""), Rows{});
  EXPECT_EQ(read_lines("a\nb"), (Rows{"a", "b"}));
  EXPECT_EQ(read_lines("a\r\n\nb\n"), (Rows{"a", "", "b"}));
  EXPECT_EQ(read_lines("\xEF\xBB\xBF\xE4\xBD\xA0\n"), Rows{"\xE4\xBD\xA0"});
  EXPECT_EQ(read_lines("\xEF\xBB\xBF"), Rows{});
  EXPECT_EQ(read_lines("a\0b\n\xff\n"s), (Rows{"a\0b"s, "\xff"}));
  expect_error(ErrorKind::usage, "no fields",
               [] { read("a", {.format = TextFormat::lines, .fields = {"x"}}); });
}

TEST(TextSource, LongLines) {
  const std::string long_line(3 << 20, 'x');
  const std::string bytes = "a\n" + long_line + "\nb\n" + long_line;
  EXPECT_EQ(read_lines(bytes), (Rows{"a", long_line, "b", long_line}));
  TextSourceOptions options{.format = TextFormat::lines, .max_row_bytes = 1 << 20};
  const Error error = error_of([&] { read(bytes, options); });
  EXPECT_EQ(error.where(), "memory:2");
  options.skip_bad_rows = true;
  const auto source = make_text_source(open_memory_stream(bytes), "memory", options);
  EXPECT_EQ(drain(*source), (Rows{"a", "b"}));
  EXPECT_EQ(source->bad_rows(), 2U);
  options.max_row_bytes = 1;  // a line at the limit passes, one byte more does not
  EXPECT_EQ(read("a\nbb\nc", options), (Rows{"a", "c"}));
}

TEST(TextSource, Jsonl) {
  const TextFormat format = TextFormat::jsonl;
  EXPECT_EQ(
      read("{\"text\":\"a\\nb\",\"x\":1}\n\n  {\"text\":\"\\u4f60\"} \r\n", {.format = format}),
      (Rows{"a\nb", "\xE4\xBD\xA0"}));
  EXPECT_EQ(read("\"plain\"\n", {.format = format}), Rows{"plain"});
  EXPECT_EQ(read("{\"body\":\"only\"}", {.format = format}), Rows{"only"});
  EXPECT_EQ(read("{\"title\":\"t\",\"query\":\"q\"}", {.format = format}), Rows{"q"});
  EXPECT_EQ(read("{\"a\":\"1\",\"b\":\"2\",\"id\":7}",
                 {.format = format, .fields = {"b", "a"}, .id_field = "id"}),
            Rows{"7:2|1"});
  EXPECT_EQ(read("{\"doc\":\"d\",\"id\":\"x\"}", {.format = format, .id_field = "id"}),
            Rows{"x:d"});
  const std::string_view long_number = "{\"text\":\"a\",\"n\":123456789012345678901234567890}";
  EXPECT_EQ(read(long_number, {.format = format}), Rows{"a"});
  EXPECT_EQ(
      read("{\"text\":\"a\",\"id\":18446744073709551615}", {.format = format, .id_field = "id"}),
      Rows{"18446744073709551615:a"});
  expect_error(ErrorKind::bad_format, "nor an integer of 64 bits",
               [&] { read(long_number, {.format = format, .id_field = "n"}); });
}

TEST(TextSource, JsonlBadRows) {
  const auto problem = [](std::string_view bytes, std::vector<std::string> fields = {}) {
    const Error error =
        error_of([&] { read(bytes, {.format = TextFormat::jsonl, .fields = fields}); });
    EXPECT_EQ(error.kind(), ErrorKind::bad_format);
    return error.where() + " " + error.message();
  };
  EXPECT_NE(problem("{\"text\":\"a\"}\n{\"text\":").find("memory:2 not valid JSON"),
            std::string::npos);
  EXPECT_NE(problem("{\"text\":1}").find("is not a string"), std::string::npos);
  EXPECT_NE(problem("{\"text\":null}").find("is not a string"), std::string::npos);
  EXPECT_NE(problem("{\"text\":\"a\"}", {"b"}).find("\"b\" is missing"), std::string::npos);
  EXPECT_NE(problem("[1]").find("one JSON object"), std::string::npos);
  EXPECT_NE(problem("{\"a\":1,\"b\":2}").find("the object has: \"a\", \"b\""), std::string::npos);
  EXPECT_NE(problem("{}").find("has: nothing"), std::string::npos);
  EXPECT_NE(problem("{\"text\":\"\xff\"}").find("UTF-8"), std::string::npos);
  EXPECT_NE(problem("{\"text\":\"a\"}{\"text\":\"b\"}").find("not valid JSON"), std::string::npos);
  EXPECT_NE(problem(std::string(100'000, '[')).find("not valid JSON"), std::string::npos);
  TextSourceOptions options{.format = TextFormat::jsonl, .skip_bad_rows = true};
  EXPECT_EQ(read("{\"text\":\"a\"}\nbroken\n{\"text\":\"b\"}\n", options), (Rows{"a", "b"}));
}

TEST(TextSource, Tsv) {
  const TextFormat format = TextFormat::tsv;
  EXPECT_EQ(read("id\ttext\n1\ta \"b\"\r\n2\tc\n", {.format = format, .id_field = "id"}),
            (Rows{"1:a \"b\"", "2:c"}));
  EXPECT_EQ(read("x\ty\tz\n", {.format = format, .fields = {"3", "1"}}), Rows{"z|x"});
  EXPECT_EQ(read("one\ntwo\n", {.format = format}), (Rows{"one", "two"}));
  EXPECT_EQ(read("text\none\n", {.format = format}), Rows{"one"});
  expect_error(ErrorKind::usage, "\"a\", \"b\"", [&] { read("a\tb\n", {.format = format}); });
  expect_error(ErrorKind::usage, "where that row is no header, its number from 1",
               [&] { read("1\ttwo\n", {.format = format}); });
  expect_error(ErrorKind::usage, "no column named \"c\"",
               [&] { read("a\tb\n", {.format = format, .fields = {"c"}}); });
  expect_error(ErrorKind::bad_format, "memory:3: 3 columns, expected 2",
               [&] { read("a\ttext\n1\t2\n1\t2\t3\n", {.format = format}); });
  expect_error(ErrorKind::bad_format, "1 columns, expected at least 2",
               [&] { read("a\tb\nx\n", {.format = format, .fields = {"2"}}); });
  expect_error(ErrorKind::bad_format, "more than 65536 columns",
               [&] { read(std::string(70'000, '\t'), {.format = format}); });
}

TEST(TextSource, Csv) {
  const TextFormat format = TextFormat::csv;
  EXPECT_EQ(read("text,n\r\n\"a,\"\"b\"\"\r\nc\",1\r\nd,2\r\n\"\",3\r\n", {.format = format}),
            (Rows{"a,\"b\"\r\nc", "d", ""}));
  EXPECT_EQ(read("n,text\n1,\"x\"", {.format = format}), Rows{"x"});
  EXPECT_EQ(read("n,text\n1,in \"the\" middle\n", {.format = format}), Rows{"in \"the\" middle"});
  EXPECT_EQ(read("n,text\n1,\n", {.format = format}), Rows{""});
  expect_error(ErrorKind::bad_format, "memory:2: text follows a closing quote",
               [&] { read("n,text\n1,\"a\"b\n", {.format = format}); });
  expect_error(ErrorKind::bad_format, "memory:2: a quote is left open to the end",
               [&] { read("n,text\n1,\"a\nb\nc\n", {.format = format}); });
  expect_error(ErrorKind::bad_format, "is a quote left open?", [&] {
    std::string bytes = "n,text\n1,\"a\n";
    for (int i = 0; i < 1000; ++i) bytes += "line\n";
    read(bytes, {.format = format, .max_row_bytes = 1000});
  });
}

TEST(TextSource, RowsSayTheirLine) {
  const auto source = make_text_source(open_memory_stream("n,text\n1,\"a\nb\"\n2,c\n"), "m",
                                       {.format = TextFormat::csv});
  TextRow row;
  ASSERT_TRUE(source->next(row));
  EXPECT_EQ(row.line, 2U);
  ASSERT_TRUE(source->next(row));
  EXPECT_EQ(row.line, 4U);
  EXPECT_FALSE(source->next(row));
  EXPECT_FALSE(source->next(row));
}

TEST(TextSource, Compressed) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "line " + std::to_string(i) + "\n";
  const Rows expected = read_lines(text);
  TempFolder folder;
  const auto from_file = [&](std::string_view name, std::string_view bytes) {
    return drain(*open_text_source(folder.put(name, bytes), {}));
  };
  EXPECT_EQ(from_file("a.txt.gz", gzip(text)), expected);
  EXPECT_EQ(from_file("a.txt.zst", zstd(text)), expected);
  EXPECT_EQ(from_file("unnamed", gzip(text)), expected);  // by content
  EXPECT_EQ(from_file("two.gz", gzip("a\n") + gzip("b\n")), (Rows{"a", "b"}));
  EXPECT_EQ(from_file("padded.gz", gzip("a\n") + std::string(512, '\0')), Rows{"a"});
  EXPECT_EQ(from_file("two.zst", zstd("a\n") + zstd("b\n")), (Rows{"a", "b"}));
  EXPECT_EQ(from_file("empty.gz", gzip("")), Rows{});
  EXPECT_EQ(from_file("a.jsonl.gz", gzip("{\"text\":\"x\"}\n")), Rows{"x"});
}

TEST(TextSource, DamagedCompression) {
  TempFolder folder;
  const std::string text(100'000, 'x'), z = gzip(text), s = zstd(text);
  const auto expect_bad = [&](std::string_view part, std::string_view name,
                              std::string_view bytes) {
    expect_error(ErrorKind::bad_format, part,
                 [&] { drain(*open_text_source(folder.put(name, bytes), {})); });
  };
  expect_bad("gzip data is cut short", "a.gz", std::string_view(z).substr(0, z.size() - 9));
  expect_bad("gzip data is cut short", "a.gz", std::string_view(z).substr(0, 5));
  expect_bad("zstd data is cut short", "a.zst", std::string_view(s).substr(0, s.size() - 1));
  expect_bad("zstd data is cut short", "a.zst", std::string_view(s).substr(0, 4));
  std::string flipped = z;
  flipped[flipped.size() - 6] ^= 1;
  expect_bad("not valid gzip", "a.gz", flipped);
  expect_bad("not gzip follow", "a.gz", z + "junk");
  expect_bad("not compressed", "a.gz", "plain");
  expect_bad("not compressed", "a.zst", "");
  expect_error(ErrorKind::not_found, "cannot open", [] { open_text_source("/nonexistent", {}); });
}

TEST(TextSource, Folder) {
  TempFolder folder;
  folder.put("b.txt", "bee");
  folder.put("sub/a.md",
             "\xEF\xBB\xBF"
             "ay\nsecond");
  folder.put("sub/image.png", "no");
  folder.put(".git/c.txt", "hidden");
  std::filesystem::create_directory_symlink(folder.path(), folder / "sub/loop");
  EXPECT_EQ(drain(*open_text_folder(folder.path(), {})),
            (Rows{"b.txt:bee", "sub/a.md:ay\nsecond"}));
  EXPECT_EQ(drain(*open_text_source(folder.path(), {})).size(), 2U);
  TextSourceOptions options{.max_row_bytes = 5, .skip_bad_rows = true};
  const auto source = open_text_folder(folder.path(), options);
  EXPECT_EQ(drain(*source), Rows{"b.txt:bee"});
  EXPECT_EQ(source->bad_rows(), 1U);
}

TEST(TextSource, FolderSaysWhatItLeavesOut) {
  TempFolder folder;
  std::vector<std::string> said;
  set_log_sink([&](LogLevel, std::string_view message) { said.emplace_back(message); });
  expect_error(ErrorKind::not_found, "no .txt and no .md file (other files: none)",
               [&] { open_text_folder(folder.path(), {}); });
  folder.put("rows.jsonl", "{}");
  folder.put("b.txt.gz", "");
  expect_error(ErrorKind::not_found, "(other files: 2, such as \"b.txt.gz\"",
               [&] { open_text_folder(folder.path(), {}); });
  EXPECT_TRUE(said.empty());
  folder.put("a.txt", "a");
  EXPECT_EQ(drain(*open_text_folder(folder.path(), {})), Rows{"a.txt:a"});
  set_log_sink({});
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].find("files left out: 2"), std::string::npos) << said[0];
}

TEST(TextSource, EveryPrefixEndsCleanly) {
  const std::string bytes = "n,text\r\n1,\"a\"\"\nb\"\n2,c\n";
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    for (const TextFormat format :
         {TextFormat::lines, TextFormat::jsonl, TextFormat::tsv, TextFormat::csv}) {
      try {
        read(std::string_view(bytes).substr(0, cut), {.format = format, .skip_bad_rows = true});
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::usage) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace akin::store
