// Typed rows: JSONL, JSON, CSV and TSV through open_rows, typed reads, and what is said of bad
// data.
#include "store/rows.h"

#include <zlib.h>

#include "store/row_reader.h"
#include "store/test_files.h"

namespace akin::store {
namespace {

using std::string_literals::operator""s;
using Columns = std::vector<std::string>;
using Lines = std::vector<std::string>;

std::string show(const Value& value) {
  switch (value.kind) {
    case Value::Kind::null:
      return "null";
    case Value::Kind::integer:
      return fmt::format("{}", value.integer);
    case Value::Kind::real:
      return fmt::format("{}", value.real);
    case Value::Kind::text:
      return "'" + std::string(value.text) + "'";
    case Value::Kind::list:
      break;
  }
  std::string out = "[";
  for (const Value& item : value.list) out += (out.size() == 1 ? "" : " ") + show(item);
  return out + "]";
}

class Rows : public testing::Test {
 protected:
  // "row: value value ..." of every row.
  Lines read(std::string_view name, std::string_view bytes, const Columns& columns,
             const RowOptions& options = {}) {
    const auto rows = open_rows(folder_.put(name, bytes), columns, options);
    std::vector<Value> values(columns.size());
    Lines out;
    while (rows->next(values)) {
      out.push_back(fmt::format("{}:", rows->row()));
      for (const Value& value : values) out.back() += " " + show(value);
    }
    EXPECT_FALSE(rows->next(values));
    return out;
  }
  void bad(std::string_view part, std::string_view name, std::string_view bytes,
           const Columns& columns, const RowOptions& options = {}) {
    expect_error(ErrorKind::bad_format, part, [&] { read(name, bytes, columns, options); });
  }
  Lines columns(std::string_view name, std::string_view bytes) {
    return list_columns(folder_.put(name, bytes));
  }

  TempFolder folder_;
};

TEST_F(Rows, Jsonl) {
  const std::string text =
      "{\"_id\":\"a\",\"text\":\"x\\ny\",\"n\":1,\"s\":2.5,\"ok\":true,\"t\":{\"en\":\"e\"}}\n\n"
      "{\"_id\":7,\"n\":null,\"list\":[\"p\",[1,null],[]],\"t\":{},\"s\":18446744073709551615}\r\n";
  EXPECT_EQ(read("a.jsonl", text, {"id|_id", "text", "n", "ok", "list?", "t.en"}),
            (Lines{"1: 'a' 'x\ny' 1 1 null 'e'", "3: 7 null null null ['p' [1 null] []] null"}));
  EXPECT_EQ(columns("a.jsonl", text), (Lines{"_id", "text", "n", "s", "ok", "t"}));
  EXPECT_EQ(read("a.jsonl", "{\"a\":\"x\",\"n\":100000000000000000000}", {"a", "n"}),
            Lines{"1: 'x' 1e+20"});
  bad("a.jsonl:1: no column named \"id\"; the columns are: \"_id\", \"text\"", "a.jsonl", text,
      {"id"});
  bad("a.jsonl:1: column \"t\" holds an object; name one of its fields, as in \"t.name\"",
      "a.jsonl", text, {"t"});
  bad("a.jsonl: the file is empty", "a.jsonl", "\n \n", {"id"});
  bad("a.jsonl:2: not valid JSON", "a.jsonl", "{\"a\":1}\n{\"a\":\n", {"a"});
  bad("NaN is no number of JSON", "a.jsonl", "{\"a\":1}\n{\"a\": NaN}\n", {"a"});
  bad("a.jsonl:1: expected one JSON object a line", "a.jsonl", "[1]\n", {"a"});
  bad("a.jsonl:2: the row is longer than 20 bytes", "a.jsonl",
      "{\"a\":1}\n{\"a\":\"" + std::string(30, 'x') + "\"}\n", {"a"}, {.max_row_bytes = 20});
  bad("a.jsonl:1: the row is longer than 100 bytes", "a.jsonl", "{\"a\":[1,2,3,4,5,6]}\n", {"a"},
      {.max_row_bytes = 100});
  bad("nested too deep", "a.jsonl", "{\"a\":" + std::string(40, '[') + std::string(40, ']') + "}\n",
      {"a"});
  bad("not valid JSON", "a.jsonl", "{\"a\":" + std::string(5000, '['), {"a"});
}

TEST_F(Rows, Json) {
  EXPECT_EQ(read("a.json", "[{\"a\":1},\n {\"a\":\"x\"},{}]", {"a"}),
            (Lines{"1: 1", "2: 'x'", "3: null"}));
  EXPECT_EQ(read("a.json", "{\"a\":1}\n{\"a\":2}\n", {"a"}), (Lines{"1: 1", "2: 2"}));
  EXPECT_EQ(read("a.json", "{\"a\":[\"x\",\"y\"],\"b\":[0,1]}", {"b", "a"}),
            Lines{"1: [0 1] ['x' 'y']"});
  EXPECT_EQ(read("a.json", "{\n  \"a\": [1,\n 2]\n}\n", {"a"}), Lines{"1: [1 2]"});
  EXPECT_EQ(read("a.json", "[]", {"a"}), Lines{});
  EXPECT_EQ(columns("a.json", "[{\"x\":1,\"y\":2}]"), (Lines{"x", "y"}));
  bad("a.json: item 1: no column named \"b\"; the columns are: \"a\"", "a.json", "[{\"a\":1}]",
      {"b"});
  bad("a.json: item 2: expected an array of objects", "a.json", "[{\"a\":1}, 2]", {"a"});
  bad("a.json: not valid JSON", "a.json", "{\"a\":1\n\"b\"", {"a"});
  bad("one JSON value of more than 10 bytes", "a.json", "[\n{\"a\":1},\n{\"a\":2}\n]", {"a"},
      {.max_row_bytes = 10, .max_json_bytes = 10});
  bad("a.json:1: expected one JSON object a line", "a.json", "7", {"a"});
}

TEST_F(Rows, Tables) {
  const std::string qrels = "query-id\tcorpus-id\tscore\nq1\td \"1\"\t2\r\nq2\td2\t\n";
  EXPECT_EQ(read("qrels.tsv", qrels, {"score", "query-id|qid", "title?"}),
            (Lines{"2: '2' 'q1' null", "3: '' 'q2' null"}));
  EXPECT_EQ(read("a.csv", "id,text\n1,\"a,\nb\"\n2,c\n", {"text", "id"}),
            (Lines{"2: 'a,\nb' '1'", "4: 'c' '2'"}));
  EXPECT_EQ(read("a.tsv", "q1\t0\td1\nq2\t0\td2\n", {"1", "3"}),
            (Lines{"1: 'q1' 'd1'", "2: 'q2' 'd2'"}));
  EXPECT_EQ(read("a.tsv", "a\tb\n", {"a"}), Lines{});
  EXPECT_EQ(columns("a.csv", "id,text\n"), (Lines{"id", "text"}));
  bad("a.csv:1: no column named \"label\"; the columns are: \"id\", \"text\"", "a.csv",
      "id,text\n1,2\n", {"id", "label"});
  bad("a.csv:3: 3 columns, expected 2 as in the first row", "a.csv", "id,text\n1,2\n1,2,3\n",
      {"id"});
  bad("a.csv:2: a quote is left open", "a.csv", "id,text\n1,\"2\n", {"id"});
  bad("a.csv: the file is empty", "a.csv", "", {"id"});
}

TEST_F(Rows, Formats) {
  const auto gzip = [](const std::string& text) {
    std::string out(200, '\0');
    z_stream z{};
    EXPECT_EQ(::deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(::deflate(&z, Z_FINISH), Z_STREAM_END);
    out.resize(out.size() - z.avail_out);
    ::deflateEnd(&z);
    return out;
  };
  EXPECT_EQ(read("A.JSONL.gz", gzip("{\"a\":1}\n"), {"a"}), Lines{"1: 1"});
  EXPECT_EQ(read("a.json.gz", gzip("[{\"a\":1}]"), {"a"}), Lines{"1: 1"});
  EXPECT_EQ(read("a.tsv.gz", gzip("a\tb\n1\t2\n"), {"b"}), Lines{"2: '2'"});
  EXPECT_EQ(read("blob", "{\"a\":1}\n", {"a"}, {.format = RowFormat::jsonl}), Lines{"1: 1"});
  bad("cannot tell the format by this name", "blob", "{\"a\":1}\n", {"a"});
  bad("not a Parquet file", "a.parquet", "{\"a\":1}\n", {"a"});
  bad("gzip data is cut short", "a.jsonl.gz", gzip("{\"a\":1}\n").substr(0, 20), {"a"});
  expect_error(ErrorKind::not_found, "none.jsonl: cannot open",
               [&] { open_rows(folder_ / "none.jsonl", Columns{"a"}); });
  const std::filesystem::path real = "src/store/testdata/duckdb_snappy.parquet";
  std::filesystem::copy_file(real, folder_ / "nameless");
  std::vector<Value> value(1);
  const auto rows = open_rows(folder_ / "nameless", Columns{"id"});
  ASSERT_TRUE(rows->next(value));
  EXPECT_EQ(value[0].text, "doc0");
  EXPECT_EQ(rows->where(), (folder_ / "nameless").string() + ": row 1");
}

TEST_F(Rows, TypedReads) {
  const auto rows = open_rows(
      folder_.put("a.jsonl",
                  "{\"i\":5,\"r\":3.0,\"h\":0.5,\"t\":\" 12 \",\"f\":\"1e2\",\"w\":\"word\","
                  "\"n\":null,\"l\":[1],\"e\":\"nan\",\"big\":1e300}\n"),
      Columns{"i", "r", "h", "t", "f", "w", "n", "l", "e", "big"});
  std::vector<Value> v(10);
  ASSERT_TRUE(rows->next(v));
  std::string scratch;
  EXPECT_EQ(as_text(v[0], *rows, "i", scratch), "5");
  EXPECT_EQ(as_text(v[2], *rows, "h", scratch), "0.5");
  EXPECT_EQ(as_text(v[5], *rows, "w", scratch), "word");
  EXPECT_EQ(as_integer(v[0], *rows, "i"), 5);
  EXPECT_EQ(as_integer(v[1], *rows, "r"), 3);
  EXPECT_EQ(as_integer(v[3], *rows, "t"), 12);
  EXPECT_EQ(as_integer(v[4], *rows, "f"), 100);
  EXPECT_EQ(as_real(v[0], *rows, "i"), 5.0);
  EXPECT_EQ(as_real(v[4], *rows, "f"), 100.0);
  EXPECT_EQ(as_list(v[7], *rows, "l").size(), 1U);
  const auto fails = [&](std::string_view part, const std::function<void()>& f) {
    expect_error(ErrorKind::bad_format, part, f);
  };
  fails("a.jsonl:1: column \"w\": expected an integer, got the text \"word\". Repair the row",
        [&] { (void)as_integer(v[5], *rows, "w"); });
  fails("expected an integer, got a real number", [&] { (void)as_integer(v[2], *rows, "h"); });
  fails("expected an integer, got a real number", [&] { (void)as_integer(v[9], *rows, "big"); });
  fails("expected text, got null", [&] { (void)as_text(v[6], *rows, "n", scratch); });
  fails("expected text, got a list", [&] { (void)as_text(v[7], *rows, "l", scratch); });
  fails("expected a finite number", [&] { (void)as_real(v[8], *rows, "e"); });
  fails("expected a list, got null", [&] { (void)as_list(v[6], *rows, "n"); });
}

TEST_F(Rows, EveryPrefixEndsCleanly) {
  const std::string json = "[{\"a\":[1,\"x\"],\"b\":{\"c\":null}},\n{\"a\":2}]\n";
  const std::string csv = "a,b\n\"x\"\"\ny\",2\n";
  for (size_t cut = 0; cut <= json.size(); ++cut) {
    for (const char* name : {"x.json", "x.jsonl", "x.csv", "x.tsv", "x.parquet"}) {
      for (const std::string& text : {json, json.substr(1), csv}) {
        try {
          read(name, std::string_view(text).substr(0, cut), {"a?", "b.c|b?"});
        } catch (const Error& error) {
          EXPECT_EQ(error.kind(), ErrorKind::bad_format) << error.what();
        }
      }
    }
  }
}

}  // namespace
}  // namespace akin::store
