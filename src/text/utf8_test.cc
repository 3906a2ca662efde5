// Decoding, repairing, and the properties of characters that ids depend on.
#include "text/utf8.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "text/base64.h"
#include "text/test_text.h"
#include "text/unicode.h"

namespace akin::text {
namespace {

std::string repaired(std::string_view bytes, size_t* count = nullptr) {
  std::string out;
  std::vector<Span> spans;
  const size_t n = repair_utf8(bytes, out, &spans);
  if (count != nullptr) *count = n;
  EXPECT_EQ(spans.size(), out.size());
  for (const Span& s : spans) EXPECT_LE(s.end, bytes.size());
  return out;
}

TEST(Utf8, RepairsMaximalSubparts) {
  // The examples of Unicode 3.9, tables 3-8 to 3-11.
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(repaired("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(repaired("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(repaired("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"),
            r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(repaired("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
  size_t count = 0;
  EXPECT_EQ(repaired("good \xE4\xB8\xAD", &count), "good \xE4\xB8\xAD");
  EXPECT_EQ(count, 0U);
  EXPECT_EQ(repaired("\xE4\xB8", &count), r);
  EXPECT_EQ(count, 1U);
}

TEST(Utf8, RepairIsValidAndKeepsValidText) {
  Rng rng(1);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = hostile_text(rng, 12, i % 2 == 1);
    size_t count = 0;
    const std::string out = repaired(text, &count);
    EXPECT_TRUE(is_valid_utf8(out));
    if (is_valid_utf8(text)) {
      EXPECT_EQ(out, text);
      EXPECT_EQ(count, 0U);
    } else {
      EXPECT_GT(count, 0U);
    }
  }
}

TEST(Utf8, RoundTripsEveryScalarValue) {
  std::string bytes;
  for (char32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 37) {
    if (c >= 0xD800 && c < 0xE000) continue;
    bytes.clear();
    append_utf8(c, bytes);
    EXPECT_EQ(bytes.size(), utf8_length(c));
    EXPECT_TRUE(is_valid_utf8(bytes));
    const char* p = bytes.data();
    EXPECT_EQ(next_code_point(p), c);
    EXPECT_EQ(p, bytes.data() + bytes.size());
    EXPECT_EQ(last_code_point(p), c);
  }
}

TEST(Unicode, CategoriesAreThoseOfUnicode8) {
  EXPECT_TRUE(is_punctuation('$'));  // ASCII symbols count
  EXPECT_FALSE(is_punctuation(U'€'));
  EXPECT_TRUE(is_punctuation(U'。'));
  EXPECT_FALSE(is_punctuation(0x2E52));  // Po since Unicode 14
  EXPECT_TRUE(is_punctuation(0x166D));   // So since Unicode 12
  EXPECT_TRUE(is_nonspacing_mark(0x301));
  EXPECT_FALSE(is_nonspacing_mark(0x8CA));  // since Unicode 14
  EXPECT_TRUE(is_other(0x200B));
  EXPECT_TRUE(is_other(0xE000));
  EXPECT_FALSE(is_other(0x378));  // unassigned stays
  EXPECT_TRUE(is_white_space(0x3000));
  EXPECT_FALSE(is_white_space(0x200B));
  EXPECT_TRUE(is_cjk_ideograph(U'中'));
  EXPECT_FALSE(is_cjk_ideograph(U'ひ'));
  EXPECT_FALSE(is_cjk_ideograph(0x30000));
}

TEST(Unicode, LowerCase) {
  char32_t out[3];
  EXPECT_EQ(to_lower(U'Σ', out), 1U);
  EXPECT_EQ(out[0], U'σ');  // no final sigma: one character at a time
  EXPECT_EQ(to_lower(0x130, out), 2U);
  EXPECT_EQ(out[0], U'i');
  EXPECT_EQ(out[1], char32_t{0x307});
  EXPECT_EQ(to_lower(U'ß', out), 1U);
  EXPECT_EQ(out[0], U'ß');
}

TEST(Base64, DecodesAndRejects) {
  EXPECT_EQ(decode_base64("aGVsbG8=", "x"), "hello");
  EXPECT_EQ(decode_base64("aGVsbG8", "x"), "hello");
  EXPECT_EQ(decode_base64("", "x"), "");
  EXPECT_THROW(decode_base64("aGV*bG8=", "x"), std::exception);
  EXPECT_THROW(decode_base64("aGVsb", "x"), std::exception);
}

}  // namespace
}  // namespace akin::text
