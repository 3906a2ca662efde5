// Readers of records: layouts by name, maps, BEIR folders, bad rows; and records as bytes.
#include "data/layout.h"
#include "data/record_io.h"
#include "data/record_reader.h"
#include "store/test_files.h"

namespace akin::data {
namespace {

using store::expect_error;
using store::TempFolder;

class Reader : public testing::Test {
 protected:
  // Each record as its line of JSON.
  std::vector<std::string> read(std::string_view name, std::string_view bytes,
                                const ReadOptions& options = {}) {
    return read_path(folder_.put(name, bytes), options);
  }
  std::vector<std::string> read_path(const std::filesystem::path& path,
                                     const ReadOptions& options = {}) {
    const auto opened = open_records(path, options);
    std::vector<std::string> out;
    Record record;
    while (opened.reader->next(record)) {
      record.source.clear();
      append_json(record, out.emplace_back());
    }
    bad_ = opened.reader->first_bad_rows();
    bad_count_ = opened.reader->bad_rows();
    return out;
  }

  TempFolder folder_;
  std::vector<BadRow> bad_;
  uint64_t bad_count_ = 0;
};
using Lines = std::vector<std::string>;

TEST_F(Reader, ReadsKnownLayoutsByNameNotByOrder) {
  const Lines pair = {R"({"query":"a","positive":"b"})"};
  EXPECT_EQ(read("a.jsonl", R"({"positive":"b","query":"a"})"), pair);
  EXPECT_EQ(read("b.jsonl", R"({"text_pos":"b","id":3,"text":"a"})"), pair);
  EXPECT_EQ(read("c.csv", "positive,anchor\nb,a\n"), pair);
  EXPECT_EQ(read("d.tsv", "sentence2\tsentence1\nb\ta\n"), pair);
  EXPECT_EQ(read("e.tsv", "sentence2\tscore\tsentence1\nb\t4.2\ta\n"),
            Lines{R"({"query":"a","positive":"b","label":4.2})"});
  EXPECT_EQ(read("f.jsonl", R"({"anchor":"a","positive":"b","negative_2":"d","negative_1":"c"})"),
            Lines{R"({"query":"a","positive":"b","negatives":["d","c"]})"});
  EXPECT_EQ(read("g.jsonl", R"({"text":"a","text_pos":"b","text_neg":"c"})"),
            Lines{R"({"query":"a","positive":"b","negatives":["c"]})"});
  EXPECT_EQ(read("h.json", R"([{"text1":"a","text2":"b","label":1}])"),
            Lines{R"({"query":"a","positive":"b","label":1})"});
}

TEST_F(Reader, GivesARecordForEachPositive) {
  EXPECT_EQ(read("a.jsonl", R"({"query":"q","pos":["p1","p2"],"neg":["n"],"pos_scores":[0.9,0.5],)"
                            R"("neg_scores":[0.25]})"
                            "\n"
                            R"({"query":"r","pos":["p"],"neg":[]})"),
            (Lines{R"({"query":"q","positive":"p1","negatives":["n"],"scores":[0.9,0.25]})",
                   R"({"query":"q","positive":"p2","negatives":["n"],"scores":[0.5,0.25]})",
                   R"({"query":"r","positive":"p"})"}));
}

TEST_F(Reader, ReadsParallelTextsAnswersAndGroups) {
  const Lines pair = {R"({"query":"a","positive":"b"})"};
  EXPECT_EQ(read("a.jsonl", R"({"zh":"b","en":"a"})"), pair);
  EXPECT_EQ(read("b.jsonl", R"({"instruction":"a","output":"b"})"), pair);
  EXPECT_EQ(read("c.jsonl", R"({"query":"a","answers":["b","c"]})"),
            (Lines{pair[0], R"({"query":"a","positive":"c"})"}));
  const std::string groups =
      "{\"captions\":[\"a\",\"b\",\"c\"]}\n"
      "{\"captions\":[\"alone\"]}\n"
      "{\"captions\":[\"d\",\"e\"]}\n";
  expect_error(ErrorKind::bad_format, "d.jsonl:2", [&] { read("d.jsonl", groups); });
  ReadOptions options;
  options.skip_bad_rows = true;
  EXPECT_EQ(read("e.jsonl", groups, options),
            (Lines{pair[0], R"({"query":"b","positive":"c"})", R"({"query":"d","positive":"e"})"}));
  EXPECT_EQ(read("f.jsonl", R"({"sentences":["a","b"]})"), pair);
}

TEST_F(Reader, CountsRowsThatDoNotParse) {
  const auto path = folder_.put("a.jsonl",
                                "{\"query\":\"a\",\"positive\":\"b\"}\n{broken\n"
                                "{\"query\":\"a\"\n{\"query\":\"c\",\"positive\":\"d\"}\n");
  ReadOptions options;
  options.skip_bad_rows = true;
  const auto opened = open_records(path, options);
  Record record;
  int sound = 0;
  while (opened.reader->next(record)) ++sound;
  EXPECT_EQ(sound, 2);
  EXPECT_EQ(opened.reader->bad_rows(), 2U);
  EXPECT_EQ(opened.reader->rows(), 4U);
}

TEST_F(Reader, ReadsSingleTexts) {
  ReadOptions options;
  options.single = true;
  const Lines two = {R"({"text":"a"})", R"({"text":"b"})"};
  EXPECT_EQ(read("a.jsonl", "{\"text\":\"a\",\"label\":\"x\"}\n{\"text\":\"b\"}\n", options), two);
  EXPECT_EQ(read("b.csv", "id,sentence\n1,a\n2,b\n", options), two);
  EXPECT_EQ(read("c.tsv", "query\tpos\na\tx\nb\ty\n", options), two);
  EXPECT_EQ(read("d.txt", "a\r\n\n  \nb", options), two);
  options.map = {"query=2"};
  EXPECT_EQ(read("e.tsv", "x\ta\ny\tb\n", options), two);
  options.map.clear();
  EXPECT_EQ(read("f.txt", "a\xFF\n", options), Lines{"{\"text\":\"a\xEF\xBF\xBD\"}"});
  expect_error(ErrorKind::bad_format, "column of texts",
               [&] { read("g.jsonl", R"({"foo":"a"})", options); });
  options.classes = true;
  expect_error(ErrorKind::usage, "classes", [&] { read("h.jsonl", R"({"text":"a"})", options); });
}

TEST_F(Reader, ReadsTextsWithTheirClasses) {
  ReadOptions options;
  options.classes = true;
  EXPECT_EQ(read("a.jsonl", "{\"text\":\"a\",\"label\":\"joy\"}\n{\"text\":\"b\",\"label\":3}\n",
                 options),
            (Lines{R"({"text":"a","label":"joy"})", R"({"text":"b","label":"3"})"}));
  EXPECT_EQ(read("b.csv", "category,sentence\nx,a\n", options),
            Lines{R"({"text":"a","label":"x"})"});
  expect_error(ErrorKind::bad_format, "column of classes",
               [&] { read("c.jsonl", R"({"text":"a"})", options); });
  options.map = {"query=text", "positive=label_fine"};
  EXPECT_EQ(read("d.jsonl", R"({"text":"a","label":"A","label_fine":"A:b"})", options),
            Lines{R"({"text":"a","label":"A:b"})"});
  options.map = {"query=text", "class=label"};
  EXPECT_EQ(read("e.jsonl", R"({"text":"a","label":"A"})", options),
            Lines{R"({"text":"a","label":"A"})"});
  options.classes = false;
  expect_error(ErrorKind::usage, "classes = true",
               [&] { read("f.jsonl", R"({"text":"a","label":"A"})", options); });
}

TEST_F(Reader, GivesNumbersToLabelsThatAreWords) {
  const std::string rows =
      "{\"s1\":\"a\",\"s2\":\"b\",\"label\":\"entailment\"}\n"
      "{\"s1\":\"c\",\"s2\":\"d\",\"label\":\"-\"}\n"
      "{\"s1\":\"e\",\"s2\":\"f\",\"label\":\"neutral\"}\n";
  ReadOptions options;
  expect_error(ErrorKind::bad_format, "entailment=1", [&] { read("a.jsonl", rows, options); });
  options.labels = {"entailment=1", "neutral=0.5", "-=drop"};
  const Lines two = {R"({"query":"a","positive":"b","label":1})",
                     R"({"query":"e","positive":"f","label":0.5})"};
  EXPECT_EQ(read("b.jsonl", rows, options), two);
  EXPECT_EQ(bad_count_, 0U);
  // Numbers may stand for other numbers; a label that is not named is an error, with its line.
  options.labels = {"0=1", "2=0"};
  EXPECT_EQ(read("c.csv", "s1,s2,label\na,b,0\nc,d,2\n", options),
            (Lines{R"({"query":"a","positive":"b","label":1})",
                   R"({"query":"c","positive":"d","label":0})"}));
  expect_error(ErrorKind::bad_format, "d.csv:3",
               [&] { read("d.csv", "s1,s2,label\na,b,0\nc,d,1\n", options); });
  expect_error(ErrorKind::bad_format, "1=NUMBER",
               [&] { read("e.csv", "s1,s2,label\na,b,1\n", options); });
  options.labels = {"entailment"};
  expect_error(ErrorKind::usage, "WORD=NUMBER", [&] { read("f.jsonl", rows, options); });
  options.labels = {"a=1", "a=2"};
  expect_error(ErrorKind::usage, "twice", [&] { read("g.jsonl", rows, options); });
}

TEST_F(Reader, TakesOneTextARowWhereNoPairIs) {
  ReadOptions options;
  options.any_shape = true;
  const Lines expected = {R"({"text":"a"})"};
  EXPECT_EQ(read("s.jsonl", R"({"text":"a","url":"x"})", options), expected);
  EXPECT_EQ(read("s.csv", "sentence\na\n", options), expected);
  EXPECT_EQ(read("s.txt", "a\n", options), expected);
  EXPECT_EQ(read("p.jsonl", R"({"text":"a","text_pos":"b"})", options),
            Lines{R"({"query":"a","positive":"b"})"});
  const Lines classes = {R"({"text":"a","label":"1"})"};
  EXPECT_EQ(read("c.jsonl", R"({"text":"a","label":1})", options), classes);
  EXPECT_EQ(read("c.csv", "category,content\n1,a\n", options), classes);
  EXPECT_EQ(read("l.jsonl", R"({"text":"a","label":["x","y"]})", options),
            (Lines{R"({"text":"a","label":"x"})", R"({"text":"a","label":"y"})"}));
  // A score or a lone query is a hint at a pair that nobody may lose silently.
  expect_error(ErrorKind::bad_format, "no known pair of columns",
               [&] { read("s.jsonl", R"({"text":"a","score":1})", options); });
  expect_error(ErrorKind::bad_format, "no known pair of columns",
               [&] { read("q.jsonl", R"({"query":"a","reply":"b"})", options); });
  options.map = {"query=body"};
  EXPECT_EQ(read("m.jsonl", R"({"body":"a"})", options), expected);
  options.map = {"query=body", "class=kind"};
  EXPECT_EQ(read("n.jsonl", R"({"body":"a","kind":1})", options), classes);
  options.map = {"query=body", "positive=kind", "class=kind"};
  expect_error(ErrorKind::usage, "class=kind",
               [&] { read("o.jsonl", R"({"body":"a","kind":1})", options); });
}

TEST_F(Reader, TakesBackWhatIsWritten) {
  const std::string line =
      R"({"query":"a\n\"b\"","positive":"c\\\u0001","negatives":["d","e"],"label":0.5,)"
      R"("scores":[1,0.25,-3],"task":"qa"})";
  EXPECT_EQ(read("a.jsonl", line), Lines{line});
}

TEST_F(Reader, MapsColumns) {
  ReadOptions options;
  options.map = {"query=frage", "positive=antwort", "negatives=x", "negatives=y"};
  EXPECT_EQ(read("a.csv", "antwort,frage,x,y\nb,a,c,\n", options),
            Lines{R"({"query":"a","positive":"b","negatives":["c"]})"});
  options.map = {"query=2", "positive=1"};
  EXPECT_EQ(read("b.tsv", "b\ta\n", options), Lines{R"({"query":"a","positive":"b"})"});
  for (const std::string wrong : {"query", "query=", "titel=a", "query=a"}) {
    options.map = {wrong};
    expect_error(ErrorKind::usage, "--map", [&] { read("c.csv", "a,b\n1,2\n", options); });
  }
}

TEST_F(Reader, NamesTheColumnsWhenNoneIsKnown) {
  expect_error(ErrorKind::bad_format, "\"foo\"", [&] { read("a.jsonl", R"({"foo":1})"); });
  expect_error(ErrorKind::not_found, "none.jsonl", [&] { read_path(folder_ / "none.jsonl"); });
}

TEST_F(Reader, CountsBadRowsOrStops) {
  const std::string bytes =
      "{\"query\":\"a\",\"positive\":\"b\"}\n"
      "{\"query\":\"a\",\"positive\n"
      "{\"query\":\"a\"}\n"
      "{\"query\":[\"a\"],\"positive\":\"b\"}\n"
      "{\"query\":\"a\",\"positive\":\"b\",\"label\":\"high\"}\n"
      "{\"query\":\"a\",\"positive\":\"b\",\"scores\":[1,2,3]}\n"
      "{\"query\":\"c\",\"positive\":\"d\"}\n";
  expect_error(ErrorKind::bad_format, "a.jsonl:2", [&] { read("a.jsonl", bytes); });
  ReadOptions options;
  options.skip_bad_rows = true;
  EXPECT_EQ(read("a.jsonl", bytes, options),
            (Lines{R"({"query":"a","positive":"b"})", R"({"query":"c","positive":"d"})"}));
  ASSERT_EQ(bad_count_, 5U);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(bad_[i].where.ends_with(fmt::format("a.jsonl:{}", i + 2))) << bad_[i].where;
  }
  std::string hopeless = "{\"query\":\"a\",\"positive\":\"b\"}\n";
  for (int i = 0; i < 10'000; ++i) hopeless += "{\n";
  expect_error(ErrorKind::bad_format, "one after another",
               [&] { read("b.jsonl", hopeless, options); });
}

TEST_F(Reader, RepairsInvalidBytes) {
  EXPECT_EQ(read("a.csv", "query,positive\na\xFF,b\n"),
            Lines{"{\"query\":\"a\xEF\xBF\xBD\",\"positive\":\"b\"}"});
}

TEST_F(Reader, ReadsABeirFolder) {
  folder_.put("set/corpus.jsonl",
              "{\"_id\":\"d1\",\"title\":\"T\",\"text\":\"one\"}\n"
              "{\"_id\":\"d2\",\"title\":\"\",\"text\":\"two\"}\n"
              "{\"_id\":\"d3\",\"title\":\"\",\"text\":\"unused\"}\n");
  folder_.put("set/queries.jsonl", "{\"_id\":\"q1\",\"text\":\"first\"}\n");
  folder_.put("set/qrels/train.tsv",
              "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\nq1\td9\t1\n");
  ReadOptions options;
  expect_error(ErrorKind::bad_format, "d9", [&] { read_path(folder_ / "set", options); });
  options.skip_bad_rows = true;
  EXPECT_EQ(read_path(folder_ / "set", options),
            Lines{R"({"query":"first","positive":"T one","negatives":["two"]})"});
  EXPECT_EQ(bad_count_, 1U);
  options.split = "test";
  EXPECT_THROW(read_path(folder_ / "set", options), Error);
}

TEST_F(Reader, FillsTaskAndSource) {
  const auto path = folder_.put("pairs.jsonl.x.jsonl",
                                "{\"query\":\"a\",\"positive\":\"b\"}\n"
                                "{\"query\":\"a\",\"positive\":\"b\",\"source\":\"s\"}\n");
  ReadOptions options;
  options.task = "qa";
  const auto opened = open_records(path, options);
  Record record;
  ASSERT_TRUE(opened.reader->next(record));
  EXPECT_EQ(record.task, "qa");
  EXPECT_EQ(record.source, "pairs.jsonl.x");
  EXPECT_EQ(record.row, 1U);
  ASSERT_TRUE(opened.reader->next(record));
  EXPECT_EQ(record.source, "s");
  EXPECT_EQ(source_name("x/y/set.jsonl.gz"), "set");
  EXPECT_EQ(source_name("x/beir/"), "beir");
}

TEST(PackedRecord, ComesBackWhole) {
  Record in;
  in.query = "q";
  in.positive = std::string("p\0q", 3);
  in.negatives = {"", "n"};
  in.label = -0.0F;
  in.scores = {1.5F, 2};
  in.source = "s";
  in.row = 7;
  std::string bytes;
  append_packed(in, bytes);
  append_packed({}, bytes);
  std::string_view left = bytes;
  Record out;
  take_packed(left, out, "x");
  std::string a, b;
  append_json(in, a);
  append_json(out, b);
  EXPECT_EQ(a, b);
  EXPECT_EQ(out.row, 7U);
  take_packed(left, out, "x");
  EXPECT_FALSE(out.label);
  EXPECT_TRUE(left.empty());
  for (size_t size = 0; size < bytes.size() / 2; ++size) {
    std::string_view cut(bytes.data(), size);
    expect_error(ErrorKind::bad_format, "work file", [&] {
      take_packed(cut, out, "x");
      take_packed(cut, out, "x");
    });
  }
}

}  // namespace
}  // namespace akin::data
