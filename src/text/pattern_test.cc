// The regular expressions of tokenizer files.
#include "text/pattern.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace akin::text {
namespace {

using Strings = std::vector<std::string>;

Strings matches(std::string_view pattern, std::string_view text) {
  Strings out;
  Pattern::regex(pattern, "test").for_each_match(text, [&](size_t begin, size_t end) {
    out.emplace_back(text.substr(begin, end - begin));
  });
  return out;
}

TEST(Pattern, Basics) {
  EXPECT_EQ(matches(" {2,}", "a  b c   "), (Strings{"  ", "   "}));
  EXPECT_EQ(matches("\\s+", "a \u3000b\n"), (Strings{" \u3000", "\n"}));
  EXPECT_EQ(matches("a|ab", "ab"), (Strings{"a"}));  // the first alternative wins
  EXPECT_EQ(matches("(?:ab)+", "xababa"), (Strings{"abab"}));
  EXPECT_EQ(matches("(?:ab){1,2}c?", "abababc"), (Strings{"abab", "abc"}));
  EXPECT_EQ(matches("[^a-c]+", "abXcY"), (Strings{"X", "Y"}));
  EXPECT_EQ(matches("[\\]\\-x]", "-x]"), (Strings{"-", "x", "]"}));
  EXPECT_EQ(matches("a.c", "abc a\nc a中c"), (Strings{"abc", "a中c"}));
  EXPECT_EQ(matches("a+?b*?c", "aabbc"), (Strings{"aabbc"}));
  EXPECT_EQ(matches("x(?=y)", "xyx"), (Strings{"x"}));
  EXPECT_EQ(matches("x(?!y)", "xyx"), (Strings{"x"}));
  EXPECT_EQ(matches("\\s+(?!\\S)|\\s", "a   b"), (Strings{"  ", " "}));
  EXPECT_EQ(matches("\\p{Lu}\\p{Ll}*", "Ab CdÉ"), (Strings{"Ab", "Cd", "É"}));
  EXPECT_EQ(matches("(?i:it's)", "IT'S it'\u017F"), (Strings{"IT'S", "it'\u017F"}));
  EXPECT_EQ(matches("\\d{1,3}", "12345"), (Strings{"123", "45"}));
  EXPECT_EQ(matches("[\\x{4e00}-\\u9fff]+", "a中国b"), (Strings{"中国"}));
  EXPECT_EQ(matches("^a|a$", "aba"), (Strings{"a", "a"}));
  EXPECT_EQ(matches("a*", "baa"), (Strings{"aa"}));  // empty matches do not count
  EXPECT_EQ(matches("a++a", "aaa"), (Strings{}));    // possessive gives nothing back
}

TEST(Pattern, OfLargeLanguageModels) {
  // The pattern of Llama 3 and Qwen 2 (which takes one digit at a time).
  const std::string kLlama3 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  EXPECT_EQ(matches(kLlama3, "I'll pay $1234  now!\n\n ok"),
            (Strings{"I", "'ll", " pay", " $", "123", "4", " ", " now", "!\n\n", " ok"}));
  EXPECT_EQ(matches(kLlama3, "  \n  x"), (Strings{"  \n", " ", " x"}));
}

TEST(Pattern, CoversItsText) {
  const std::string kGpt2 =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  const std::string text = "Hello  world's 中国\t\n 12 ½ \u0301x";
  std::string joined;
  for (const auto& m : matches(kGpt2, text)) joined += m;
  EXPECT_EQ(joined, text);
}

TEST(Pattern, RefusesWhatItCannotDo) {
  for (const char* bad :
       {"(?<=a)b", "a(", "a)", "[a", "[[:alpha:]]", "\\1", "\\p{Greek}", "(?P<n>a)", "*a",
        "a{2000}", "a**", "(a*)*", "((a|b)?)+", "[b-a]", "\\", "\\b", "(ab)++"}) {
    try {
      matches(bad, "aaa");
      FAIL() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::unsupported) << bad;
    }
  }
}

TEST(Pattern, StopsWhenItBacktracksWithoutMeasure) {
  const std::string text(2000, 'a');
  EXPECT_THROW(matches("(?:a+)+b", text), Error);
}

}  // namespace
}  // namespace akin::text
