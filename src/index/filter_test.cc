// The filter language: what it lets through, and where it says a mistake is.
#include "index/filter.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"

namespace akin::index {
namespace {

constexpr const char* kDocument =
    R"({"lang":"en","year":2021,"score":0.5,"draft":false,"none":null,"big":18446744073709551615,)"
    R"("author":{"name":"Ann","born":1970},"tags":["a","b"],"odd name":1,"é":"ü",)"
    R"("parts":[{"n":1},{"n":2}],"empty":[]})";

bool matches(std::string_view filter, std::string_view metadata = kDocument,
             std::string_view id = "doc-1") {
  const Filter parsed(filter);
  Filter::Matcher matcher(parsed);
  return matcher(id, metadata);
}

std::string problem(std::string_view filter) {
  try {
    const Filter parsed(filter);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "";
}

TEST(Filter, Holds) {
  for (const char* filter : {"lang = \"en\"",
                             "lang == 'en'",
                             "lang != \"zh\"",
                             "lang <> 'zh'",
                             "year >= 2021",
                             "year > 2020.5",
                             "year < 2021.5",
                             "year <= 2021",
                             "year = 2021.0",
                             "score = 5e-1",
                             "draft = false",
                             "not draft = true",
                             "none = null",
                             "none exists",
                             "lang < \"eo\"",
                             "author.name = \"Ann\"",
                             "author.born < 1980 and author exists",
                             "tags = \"a\"",
                             "tags in [\"x\", \"b\"]",
                             "tags = 'a' and tags = 'b'",
                             "`odd name` = 1",
                             "é = \"ü\"",
                             "parts.n = 2",
                             "missing not exists",
                             "not missing exists",
                             "missing != 1",
                             "missing not in [1]",
                             "lang in [\"en\"] or missing = 1",
                             "(lang = 'zh' or year = 2021)",
                             "lang = 'zh' and year = 1 or draft = false",
                             "NOT lang = 'zh' AND Year not exists",
                             "big = 18446744073709551615",
                             "big > 9007199254740993",
                             "id = \"doc-1\"",
                             "id in ['doc-1', 'x']",
                             "id exists",
                             "lang = \"\\u0065n\"",
                             "empty exists",
                             "\tlang\n=\r'en'  ",
                             "author.`name`='Ann'",
                             "lang='en'and year=2021",
                             "year != '2021'"}) {
    EXPECT_TRUE(matches(filter)) << filter;
  }
}

TEST(Filter, DoesNotHold) {
  for (const char* filter : {"lang = \"EN\"",
                             "year = \"2021\"",
                             "draft = 0",
                             "draft = true",
                             "none = 0",
                             "none = ''",
                             "missing = null",
                             "missing exists",
                             "missing < 1",
                             "missing > 1",
                             "author = 'Ann'",
                             "author.name.first = 'A'",
                             "tags = \"c\"",
                             "not tags = 'a'",
                             "empty = 1",
                             "lang in []",
                             "lang > 5",
                             "year < 'x'",
                             "draft < true",
                             "parts.n = 3",
                             "big = 18446744073709551614",
                             "lang = 'en' and year = 1",
                             "id = 'doc-2'",
                             "lang = 'e' or lang = 'n'"}) {
    EXPECT_FALSE(matches(filter)) << filter;
  }
}

TEST(Filter, DocumentsWithoutMetadata) {
  EXPECT_FALSE(matches("lang = 'en'", ""));
  EXPECT_TRUE(matches("lang != 'en'", ""));
  EXPECT_TRUE(matches("id = 'doc-1'", ""));
  EXPECT_FALSE(matches("a = 1", "[1]"));
  EXPECT_FALSE(matches("a = 1", "{broken"));
  EXPECT_FALSE(matches("id = 'doc-1'", R"({"id": "other"})"));
}

TEST(Filter, NamesTheColumn) {
  EXPECT_EQ(problem("lang = "),
            "filter: column 8: expected a value: \"text\" in quotes, a number, "
            "true, false or null, got the end");
  EXPECT_NE(problem("lang = en").find("column 8"), std::string::npos);
  EXPECT_NE(problem("é = 'ü' xor a = 1").find("column 9"), std::string::npos);
  EXPECT_NE(problem("").find("column 1: expected the name of a field, got the end"),
            std::string::npos);
  EXPECT_NE(problem("(a = 1").find("expected )"), std::string::npos);
  EXPECT_NE(problem("a = 'open").find("column 5: expected text closed"), std::string::npos);
  EXPECT_NE(problem("a ~ 1").find("column 3: expected =, !="), std::string::npos);
  EXPECT_NE(problem("a in (1)").find("expected ["), std::string::npos);
  EXPECT_NE(problem("a not = 1").find("expected in or exists"), std::string::npos);
  for (const char* filter : {"and",       "a = 1 and",       "a = 1 or or b = 2",
                             "not",       "a = 1)",          "a.",
                             ".a = 1",    "a in [1",         "a in [1,]",
                             "a = '\\x'", "a = '\\u12'",     "a = '\\ud800'",
                             "a = 1e999", "a = --1",         "a = 1x",
                             "`a = 1",    "a = 1 b = 2",     "= 1",
                             "a = 1;",    "a exists exists", "[a] = 1"}) {
    EXPECT_NE(problem(filter), "") << filter;
  }
}

TEST(Filter, DepthIsBounded) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '(') + "a = 1" + std::string(depth, ')');
  };
  EXPECT_EQ(problem(nested(60)), "");
  EXPECT_NE(problem(nested(100000)).find("too deep"), std::string::npos);
  std::string nots;
  for (int i = 0; i < 100000; ++i) nots += "not ";
  EXPECT_NE(problem(nots + "a = 1").find("too deep"), std::string::npos);
  // Many conditions side by side are fine.
  std::string wide = "a = 0";
  for (int i = 0; i < 20000; ++i) wide += " or a = " + std::to_string(i);
  EXPECT_TRUE(matches(wide, R"({"a": 12345})"));
  EXPECT_NE(problem(std::string(Filter::kMaxBytes + 1, ' ')), "");
}

TEST(Filter, AnyTextIsAnErrorOrAFilter) {
  Rng rng(11);
  const std::string_view pieces[] = {"a", "=", "!=",  "<",   "in", "[",      "]",
                                     "(", ")", "not", "and", "or", "exists", "'x'",
                                     "1", ".", "`",   "\"",  "\\", "\xFF",   ","};
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (size_t i = 1 + rng.below(12); i > 0; --i) {
      text += std::string(pieces[rng.below(std::size(pieces))]) + (rng.below(2) == 0 ? " " : "");
    }
    try {
      matches(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage) << text;
    }
  }
}

}  // namespace
}  // namespace akin::index
