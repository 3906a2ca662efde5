// Normalizers: results and where each byte came from.
#include "text/normalizer.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace akin::text
