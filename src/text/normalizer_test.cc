// Normalizers: results and where each byte came from.
#include "text/normalizer.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "text/test_text.h"

namespace akin::text {
namespace {

NormalizedText tracked(std::string_view text) {
  NormalizedText out;
  out.tracking = true;
  out.text = text;
  for (const char* p = text.data(); p < text.data() + text.size();) {
    const auto begin = static_cast<uint32_t>(p - text.data());
    next_code_point(p);
    const auto end = static_cast<uint32_t>(p - text.data());
    out.spans.insert(out.spans.end(), end - begin, {begin, end});
  }
  return out;
}

NormalizedText run(std::string_view json, std::string_view text) {
  const JsonDocument document = JsonDocument::parse(json, "test");
  const auto normalizer = make_normalizer(JsonValue(document));
  NormalizedText with = tracked(text), without;
  without.text = text;
  normalizer->apply(with);
  normalizer->apply(without);
  EXPECT_EQ(with.text, without.text);
  EXPECT_EQ(with.spans.size(), with.text.size());
  for (const Span& span : with.spans) {
    EXPECT_LE(span.begin, span.end);
    EXPECT_LE(span.end, text.size());
  }
  return with;
}

std::string normal(std::string_view json, std::string_view text) { return run(json, text).text; }

std::string replacement(std::string_view from, std::string_view to) {
  return fmt::format(R"({{"type":"Replace","pattern":{{"String":"{}"}},"content":"{}"}})", from,
                     to);
}

// A sequence merges rules of one character; in sequences of one it cannot.
NormalizedText one_by_one(const std::vector<std::string>& rules, std::string_view text) {
  NormalizedText out = tracked(text);
  for (const std::string& rule : rules) {
    const JsonDocument document = JsonDocument::parse(
        fmt::format(R"({{"type":"Sequence","normalizers":[{}]}})", rule), "test");
    make_normalizer(JsonValue(document))->apply(out);
  }
  return out;
}

TEST(Normalizer, MergedReplacementsAreThoseOneByOne) {
  Rng rng(7);
  const std::vector<std::string> letters = {"a", "b", "c", " ", "é", "中", "\U0001F600"};
  const auto word = [&](size_t most) {
    std::string out;
    for (size_t n = rng.below(most + 1); n > 0; --n) out += letters[rng.below(letters.size())];
    return out;
  };
  for (size_t turn = 0; turn < 300; ++turn) {
    std::vector<std::string> rules;
    for (size_t n = 1 + rng.below(9); n > 0; --n) {
      rules.push_back(replacement(rng.below(8) == 0 ? "ab" : letters[rng.below(letters.size())],
                                  word(turn % 3 == 0 ? 5 : 2)));
    }
    const std::string text = word(30);
    const NormalizedText got = run(
        fmt::format(R"({{"type":"Sequence","normalizers":[{}]}})", fmt::join(rules, ",")), text);
    const NormalizedText wanted = one_by_one(rules, text);
    ASSERT_EQ(got.text, wanted.text) << fmt::format("{}", fmt::join(rules, ",")) << " of " << text;
    ASSERT_EQ(got.spans, wanted.spans);
  }
}

TEST(Normalizer, ReplacementsThatGrowWithoutEndAreNotMerged) {
  std::vector<std::string> rules;
  for (char c = 'a'; c < 'z'; ++c) {
    const std::string next(2, static_cast<char>(c + 1));
    rules.push_back(replacement(std::string(1, c), next));
  }
  rules.push_back(replacement("z", ""));  // all of it goes again
  const std::string json =
      fmt::format(R"({{"type":"Sequence","normalizers":[{}]}})", fmt::join(rules, ","));
  EXPECT_EQ(normal(json, "xyz."), ".");
  rules.assign(3000, replacement("a", "a"));
  const std::string same =
      fmt::format(R"({{"type":"Sequence","normalizers":[{}]}})", fmt::join(rules, ","));
  EXPECT_EQ(normal(same, "banana"), "banana");
}

TEST(Normalizer, Bert) {
  const char* kDefault = R"({"type":"BertNormalizer"})";
  EXPECT_EQ(normal(kDefault, "H\u00E9llo\tW\u00D6rld"), "hello world");
  EXPECT_EQ(normal(kDefault,
                   "a\u200Bb\x01"
                   "c\uFFFD\u00AD"),
            "abc");
  EXPECT_EQ(normal(kDefault, "x中国y"), "x 中  国 y");
  EXPECT_EQ(normal(kDefault, "İ"), "i");
  EXPECT_EQ(normal(kDefault, "\u00A0\u3000"), "  ");
  EXPECT_EQ(normal(R"({"type":"BertNormalizer","lowercase":false})", "É"), "É");
  EXPECT_EQ(normal(R"({"type":"BertNormalizer","lowercase":false,"strip_accents":true})", "É"),
            "E");
  EXPECT_EQ(normal(R"({"type":"BertNormalizer","strip_accents":false})", "İÉ"), "i\u0307é");
  const NormalizedText text = run(kDefault, "É中");
  EXPECT_EQ(text.text, "e 中 ");
  EXPECT_EQ(text.spans[0], (Span{0, 2}));
  EXPECT_EQ(text.spans[2], (Span{2, 5}));
}

TEST(Normalizer, UnicodeForms) {
  EXPECT_EQ(normal(R"({"type":"NFC"})", "e\u0301"), "é");
  EXPECT_EQ(normal(R"({"type":"NFD"})", "é"), "e\u0301");
  EXPECT_EQ(normal(R"({"type":"NFKC"})", "ﬁ①ｆ"), "fi1f");
  EXPECT_EQ(normal(R"({"type":"NFKD"})", "½"), "1\u20442");
  EXPECT_EQ(normal(R"({"type":"NFD"})", "각"), "\u1100\u1161\u11A8");
  EXPECT_EQ(normal(R"({"type":"NFC"})", "\u1100\u1161\u11A8"), "각");
  EXPECT_EQ(normal(R"({"type":"NFD"})", "a\u0301\u0323"), "a\u0323\u0301");  // canonical order
  EXPECT_EQ(normal(R"({"type":"NFC"})", "a\u0301\u0323"), "ạ\u0301");
  EXPECT_EQ(normal(R"({"type":"NFC"})", "a\u0300\u0301"), "à\u0301");  // blocked
  EXPECT_EQ(normal(R"({"type":"NFC"})", "\u0301"), "\u0301");
  EXPECT_EQ(run(R"({"type":"NFC"})", "xe\u0301").spans[1], (Span{1, 2}));
}

TEST(Normalizer, FormsAreIdempotent) {
  Rng rng(2);
  for (int i = 0; i < 500; ++i) {
    const std::string text = hostile_text(rng, 10, false);
    for (const char* form : {"NFC", "NFD", "NFKC", "NFKD"}) {
      const std::string json = std::string(R"({"type":")") + form + "\"}";
      const std::string once = normal(json, text);
      EXPECT_EQ(normal(json, once), once);
    }
    EXPECT_EQ(normal(R"({"type":"NFC"})", normal(R"({"type":"NFD"})", text)),
              normal(R"({"type":"NFC"})", text));
  }
}

TEST(Normalizer, SmallOnes) {
  EXPECT_EQ(normal(R"({"type":"Lowercase"})", "ÀB"), "àb");
  EXPECT_EQ(normal(R"({"type":"StripAccents"})", "e\u0301"), "e");
  EXPECT_EQ(normal(R"({"type":"Strip"})", " \u3000a b\n"), "a b");
  EXPECT_EQ(normal(R"({"type":"Strip","strip_left":false})", " a "), " a");
  EXPECT_EQ(normal(R"({"type":"Strip"})", "  \u3000"), "");
  EXPECT_EQ(normal(R"({"type":"Prepend","prepend":"▁"})", "a"), "▁a");
  EXPECT_EQ(normal(R"({"type":"Prepend","prepend":"▁"})", ""), "");
  EXPECT_EQ(normal(R"({"type":"Nmt"})", "a\x01\tb\u200B"), "a b ");
  EXPECT_EQ(normal(R"({"type":"ByteLevel"})", " é"), "ĠÃ©");
  EXPECT_EQ(normal(R"({"type":"Replace","pattern":{"String":" "},"content":"▁"})", " a b"), "▁a▁b");
  EXPECT_EQ(normal(R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "})", "a   b c  "),
            "a b c ");
  EXPECT_EQ(normal(R"({"type":"Replace","pattern":{"String":"``"},"content":"\""})", "``a``"),
            "\"a\"");
  EXPECT_EQ(normal(R"({"type":"Sequence","normalizers":[{"type":"NFD"},{"type":"Lowercase"},
                       {"type":"StripAccents"}]})",
                   "ÉÀ"),
            "ea");
  EXPECT_EQ(run(R"({"type":"Strip"})", " a").spans[0], (Span{1, 2}));
  EXPECT_EQ(run(R"({"type":"Prepend","prepend":"▁"})", "ab").spans[0], (Span{0, 1}));
}

TEST(Normalizer, SaysWhatItDoesNotKnow) {
  try {
    normal(R"({"type":"Shouting"})", "a");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_NE(error.message().find("Shouting"), std::string::npos);
  }
  EXPECT_THROW(normal(R"({"type":"Precompiled","precompiled_charsmap":"!"})", "a"), Error);
  EXPECT_THROW(normal(R"({"lowercase":true})", "a"), Error);
}

TEST(Normalizer, GrowthEndsInAnError) {
  const auto sequence = [](const std::string& rule, size_t count) {
    std::string rules = rule;
    for (size_t i = 1; i < count; ++i) rules += "," + rule;
    return R"({"type":"Sequence","normalizers":[)" + rules + "]}";
  };
  const auto kind = [&](const std::string& json) {
    const JsonDocument document = JsonDocument::parse(json, "test");
    const auto normalizer = make_normalizer(JsonValue(document));
    for (const bool tracking : {false, true}) {
      NormalizedText text = tracked("some aaa");
      text.tracking = tracking;
      if (!tracking) text.spans.clear();
      try {
        normalizer->apply(text);
        return ErrorKind::internal;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::bad_format);
        EXPECT_NE(error.message().find("expected at most"), std::string::npos) << error.what();
      }
    }
    return ErrorKind::bad_format;
  };
  EXPECT_EQ(kind(sequence(replacement("a", std::string(1000, 'a')), 5)), ErrorKind::bad_format);
  EXPECT_EQ(kind(sequence(replacement("a", "aa"), 300)), ErrorKind::bad_format);
  EXPECT_EQ(
      kind(sequence(R"({"type":"Replace","pattern":{"Regex":"[sx]"},"content":"xxxxxxxx"})", 12)),
      ErrorKind::bad_format);
  EXPECT_EQ(normal(sequence(replacement("a", "aaaaaaaaaa"), 3), "ba"),
            "b" + std::string(1000, 'a'));
}

}  // namespace
}  // namespace akin::text
