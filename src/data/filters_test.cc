// Each filter on hand-made records, folding and words, and the table of hashes.
#include "base/rng.h"
#include "data/filter.h"
#include "data/fold.h"
#include "data/hash_map.h"
#include "store/test_files.h"

namespace akin::data {
namespace {

using store::expect_error;
using store::TempFolder;

Record pair(std::string query, std::string positive) {
  Record out;
  out.query = std::move(query);
  out.positive = std::move(positive);
  return out;
}
Verdict judge(const Filter& filter, Record& record) {
  Record* const one = &record;
  Verdict out;
  filter.judge({&one, 1}, {&out, 1});
  return out;
}
std::string reason(const Filter& filter, Record record) {
  return std::string(judge(filter, record).reason);
}
RecordKey key(const Filter& filter, const Record& record) {
  std::vector<RecordKey> keys;
  std::string signature;
  filter.append_keys(record, keys, signature);
  EXPECT_EQ(keys.size(), 1U);
  return keys.at(0);
}
std::string folded(std::string_view text) {
  std::string out;
  append_folded(text, out);
  return out;
}
std::vector<std::string> words(std::string_view text) {
  std::vector<std::string_view> pieces;
  split_words(text, pieces);
  return {pieces.begin(), pieces.end()};
}

TEST(Fold, LowersAndJoinsWhiteSpace) {
  EXPECT_EQ(folded("  Hello \t\n WORLD "), "hello world");
  EXPECT_EQ(folded("\xC3\x84\xC2\xA0\xE3\x80\x80Z"), "\xC3\xA4 z");  // Ä, two spaces of Unicode
  EXPECT_EQ(folded("\xE4\xBD\xA0 \xE5\xA5\xBD"), "\xE4\xBD\xA0 \xE5\xA5\xBD");
  EXPECT_EQ(folded(" \n"), "");
  EXPECT_EQ(folded("Stra\xC3\x9F"
                   "e"),
            folded("STRASSE"));
  EXPECT_EQ(folded("\xCF\x83\xCF\x82"), folded("\xCE\xA3\xCE\xA3"));  // both small sigmas
  std::string grows = "x";  // a dotted capital I takes two bytes, in lower case three
  for (int i = 0; i < 100; ++i) grows += "\xC4\xB0";
  EXPECT_EQ(folded(grows).size(), 301U);
  std::string out = "kept ";
  append_folded(" B", out);
  EXPECT_EQ(out, "kept b");
}

TEST(Fold, FindsWords) {
  EXPECT_EQ(words("don't stop, 3.5x"), (std::vector<std::string>{"don", "t", "stop", "3", "5x"}));
  EXPECT_EQ(words("ab\xE4\xBD\xA0\xE5\xA5\xBD"
                  "c\xE3\x80\x82"),
            (std::vector<std::string>{"ab", "\xE4\xBD\xA0", "\xE5\xA5\xBD", "c"}));
  EXPECT_TRUE(words(" .,!").empty());
}

TEST(Normalise, CleansTextsAndSaysSo) {
  const auto filter = make_filter("normalise", {});
  Record record = pair(" a \t b\x01", "\xEF\xBB\xBFx\xE2\x80\x8By\xC2\xA0z");
  record.negatives = {"n", " \n", "m "};
  record.scores = {1, 2, 3, 4};
  EXPECT_TRUE(judge(*filter, record).changed);
  EXPECT_EQ(record.query, "a b");
  EXPECT_EQ(record.positive, "xy z");
  EXPECT_EQ(record.negatives, (std::vector<std::string>{"n", "m"}));
  EXPECT_EQ(record.scores, (std::vector<float>{1, 2, 4}));
  EXPECT_FALSE(judge(*filter, record).changed);
  Record chinese = pair("\xE4\xBD\xA0\xE5\xA5\xBD", "caf\xC3\xA9 \xF0\x9F\x98\x80");
  EXPECT_FALSE(judge(*filter, chinese).changed);
}

TEST(Length, CountsCharactersNotBytes) {
  FilterOptions options;
  options.min_chars = 2;
  options.max_chars = 4;
  const auto filter = make_filter("length", options);
  EXPECT_EQ(reason(*filter, pair("ab", "abcd")), "");
  EXPECT_EQ(reason(*filter, pair("\xE4\xBD\xA0\xE5\xA5\xBD", "\xF0\x9F\x98\x80z")), "");
  EXPECT_EQ(reason(*filter, pair("\xE4\xBD\xA0", "abcd")), "too short");
  EXPECT_EQ(reason(*filter, pair("ab", "abcde")), "too long");
  options.max_chars = 1;
  expect_error(ErrorKind::usage, "--max-chars", [&] { make_filter("length", options); });
}

TEST(Overlap, RemovesPairsOfTheSameWords) {
  const auto filter = make_filter("overlap", {});
  EXPECT_EQ(reason(*filter, pair("One two three four x", "x: FOUR, three; two one - five six")),
            "same words");
  EXPECT_EQ(reason(*filter, pair("one two three four five", "one two three four six seven")),
            "same words");  // 4 of 5
  EXPECT_EQ(reason(*filter, pair("one two three four five six", "one two three four a b c")), "");
  EXPECT_EQ(reason(*filter, pair("one two three", "one two three four")), "");  // three words only
  EXPECT_EQ(reason(*filter, pair("cat dog sun sea", "concat dogma sunday seaside and more")),
            "same words");  // substrings
  Record graded = pair("one two three four", "one two three four");
  graded.label = 5;
  EXPECT_EQ(reason(*filter, graded), "");
  EXPECT_EQ(reason(*filter, pair("", "")), "");
  FilterOptions options;
  options.overlap = 0;
  expect_error(ErrorKind::usage, "--overlap", [&] { make_filter("overlap", options); });
}

TEST(Dedup, FoldsCaseAndSpaceAndNothingElse) {
  const auto filter = make_filter("dedup", {});
  EXPECT_EQ(reason(*filter, pair(" ", "a")), "empty");
  EXPECT_EQ(reason(*filter, pair("A  b", "a B ")), "identical");
  EXPECT_EQ(reason(*filter, pair("a", "b")), "");
  EXPECT_EQ(key(*filter, pair("A  b", "c")), key(*filter, pair("a b", " C")));
  EXPECT_NE(key(*filter, pair("ab", "c")), key(*filter, pair("a", "bc")));
  EXPECT_NE(key(*filter, pair("a", "b")), key(*filter, pair("b", "a")));
  Record triplet = pair("a", "b");
  triplet.negatives = {"c"};
  EXPECT_NE(key(*filter, triplet), key(*filter, pair("a", "b")));
}

// One text in the forms in which it meets an evaluation set: full-width, with free accents, in
// ligatures and other compatible forms.
TEST(Fold, FormsOfOneTextAreOneText) {
  EXPECT_EQ(folded("ＡＢＣ　１２３，好！"), "abc 123,好!");
  EXPECT_EQ(folded("cafe\xCC\x81 na\xC3\xAFve"), folded("caf\xC3\xA9 nai\xCC\x88ve"));
  EXPECT_EQ(folded("E\xCC\x81"), "\xC3\xA9");
  // Two marks in either order, on a letter that comes composed or not.
  EXPECT_EQ(folded("s\xCC\x87\xCC\xA3"), folded("s\xCC\xA3\xCC\x87"));
  EXPECT_EQ(folded("\xE1\xB9\xA1\xCC\xA3"), folded("\xE1\xB9\xA9"));
  EXPECT_EQ(folded("ﬁne ① ㎏ ｶﾞ"), folded("fine 1 kg ガ"));
  EXPECT_EQ(folded("\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB"), "한");
  EXPECT_EQ(folded("a\xC2\xA8"), folded("a \xCC\x88"));  // a free diaeresis has a space
  EXPECT_EQ(folded("、。「x」"), "、。「x」");
  std::string longest;  // eighteen characters for one
  for (int i = 0; i < 50; ++i) longest += "\xEF\xB7\xBA";
  EXPECT_GT(folded(longest).size(), 50U * 18);
}

TEST(Contamination, FindsFullWidthAndDecomposedCopies) {
  const TempFolder folder;
  FilterOptions options;
  options.eval_texts = {folder.put("eval.txt", "Where is café ABC 123?\n").string()};
  const auto filter = make_filter("contamination", options);
  for (const char* copy :
       {"ｗｈｅｒｅ ｉｓ café ＡＢＣ １２３？", "Where is cafe\xCC\x81 ABC 123"}) {
    EXPECT_EQ(reason(*filter, pair(copy, "b")), "equal to an evaluation text") << copy;
  }
}

TEST(Contamination, FindsEqualTextsAndSharedRuns) {
  const TempFolder folder;
  FilterOptions options;
  options.eval_near = 0;
  options.eval_texts = {
      folder
          .put("sts.jsonl", "{\"s1\":\"A man is playing a guitar.\",\"s2\":\"x\",\"id\":\"key\"}\n")
          .string(),
      folder.put("long.txt", "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14\n").string()};
  const auto filter = make_filter("contamination", options);
  EXPECT_EQ(reason(*filter, pair("b", "a MAN is  playing a guitar")),
            "equal to an evaluation text");
  EXPECT_EQ(reason(*filter, pair("b", "a man is playing a guitar now")), "");
  EXPECT_EQ(reason(*filter, pair("key", "b")), "");  // no text column
  EXPECT_EQ(reason(*filter, pair("!", "b")), "");
  Record record = pair("b", "c");
  record.negatives = {"see W2 w3 w4 w5 w6 w7, w8 w9 w10 w11 w12 w13 w14 there"};
  const Verdict verdict = judge(*filter, record);
  EXPECT_EQ(verdict.reason, "shares words with an evaluation text");
  EXPECT_TRUE(verdict.match.ends_with("long.txt:1")) << verdict.match;
  record.negatives = {"w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14"};  // 12 words in a row
  EXPECT_EQ(reason(*filter, record), "");
}

TEST(Contamination, FindsNearlyEqualTexts) {
  const TempFolder folder;
  FilterOptions options;
  options.eval_texts = {
      folder.put("sts.txt", "A girl is styling her hair.\nThe red car\n我想买一部新手机\n")
          .string()};
  const auto filter = make_filter("contamination", options);
  Record record = pair("A girl is styling her own hair.", "b");
  const Verdict verdict = judge(*filter, record);
  EXPECT_EQ(verdict.reason, "nearly equal to an evaluation text");
  EXPECT_TRUE(verdict.match.ends_with("sts.txt:1 (similarity 0.86)")) << verdict.match;
  EXPECT_EQ(reason(*filter, pair("b", "我想买一部手机")), "nearly equal to an evaluation text");
  EXPECT_EQ(reason(*filter, pair("a girl is styling the cat", "b")), "");
  EXPECT_EQ(reason(*filter, pair("the old red car", "b")), "");  // too few words to say
  options.eval_near = 0;
  EXPECT_EQ(
      reason(*make_filter("contamination", options), pair("A girl is styling her own hair.", "b")),
      "");
  options.eval_near = 0.3;
  expect_error(ErrorKind::usage, "--eval-near", [&] { make_filter("contamination", options); });
}

TEST(Contamination, SaysWhatIsWrong) {
  const TempFolder folder;
  FilterOptions options;
  expect_error(ErrorKind::usage, "--eval-texts", [&] { make_filter("contamination", options); });
  options.eval_texts = {folder.put("a.jsonl", "{\"foo\":\"x\"}\n").string()};
  expect_error(ErrorKind::bad_format, "foo", [&] { make_filter("contamination", options); });
  options.eval_columns = {"foo"};
  EXPECT_EQ(reason(*make_filter("contamination", options), pair("X", "b")),
            "equal to an evaluation text");
  options.eval_words = 1;
  expect_error(ErrorKind::usage, "--eval-words", [&] { make_filter("contamination", options); });
}

TEST(Filters, AreListed) {
  EXPECT_EQ(filter_infos().size(), 10U);
  expect_error(ErrorKind::usage, "normalise, length", [] { make_filter("nope", {}); });
}

TEST(HashMap, KeepsTheFirstValueOfManyKeys) {
  HashMap map;
  Rng keys(1);
  for (uint32_t i = 0; i < 20'000; ++i) map.add(keys.next(), i);
  map.add(0, 77);
  map.add(0, 78);
  EXPECT_EQ(map.size(), 20'001U);
  Rng again(1);
  for (uint32_t i = 0; i < 20'000; ++i) ASSERT_EQ(map.find(again.next()), i);
  EXPECT_EQ(map.find(0), 77U);
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(map.find(again.next()));
}

}  // namespace
}  // namespace akin::data
