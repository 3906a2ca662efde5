// The byte tables and the GPT-2 word pattern, on cases worked out by hand from the pattern.
#include "text/byte_level.h"

#include <gtest/gtest.h>

namespace akin::text {
namespace {

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = byte_level_next(text, pos);
    EXPECT_GT(end, pos);
    out.emplace_back(text.substr(pos, end - pos));
    pos = end;
  }
  return out;
}
using Words = std::vector<std::string>;

TEST(ByteLevel, EveryByteHasItsCharacterAndBack) {
  std::string all, encoded, decoded;
  for (int b = 0; b < 256; ++b) all += static_cast<char>(b);
  std::vector<uint32_t> offsets;
  byte_level_encode(all, encoded, &offsets);
  ASSERT_EQ(offsets.size(), encoded.size());
  EXPECT_EQ(offsets.back(), 255u);
  byte_level_decode(encoded, decoded);
  EXPECT_EQ(decoded, all);
  EXPECT_EQ(byte_level_character(' '), "\xC4\xA0");   // U+0120
  EXPECT_EQ(byte_level_character('\n'), "\xC4\x8A");  // U+010A
  EXPECT_EQ(byte_level_character('a'), "a");
  EXPECT_EQ(byte_level_character(0xAD), "\xC5\x83");  // U+0143, the last one
}

TEST(ByteLevel, ForeignTokensAreDecodedAsTheyAre) {
  std::string out;
  byte_level_decode("\xE4\xBD\xA0", out);
  byte_level_decode("a b", out);  // a plain space is outside the table
  EXPECT_EQ(out,
            "\xE4\xBD\xA0"
            "a b");
}

TEST(ByteLevel, CutsWords) {
  EXPECT_EQ(words("Hello world"), (Words{"Hello", " world"}));
  EXPECT_EQ(words("I'm we'll 's don'T"),
            (Words{"I", "'m", " we", "'ll", " '", "s", " don", "'", "T"}));
  EXPECT_EQ(words("abc123 45!?"), (Words{"abc", "123", " 45", "!?"}));
  EXPECT_EQ(words("a  b"), (Words{"a", " ", " b"}));
  EXPECT_EQ(words("a \n b"), (Words{"a", " \n", " b"}));
  EXPECT_EQ(words("a\nb"), (Words{"a", "\n", "b"}));
  EXPECT_EQ(words("a   "), (Words{"a", "   "}));
  EXPECT_EQ(words("\n\nab"), (Words{"\n", "\n", "ab"}));
  EXPECT_EQ(words("!!'s"), (Words{"!!'", "s"}));
  EXPECT_EQ(words(""), Words{});
}

TEST(ByteLevel, KnowsUnicodeCategories) {
  // Letters, a number of another script, a symbol, an ideographic space.
  EXPECT_EQ(words("\xE4\xBD\xA0\xE5\xA5\xBD"
                  "a"),
            (Words{"\xE4\xBD\xA0\xE5\xA5\xBD"
                   "a"}));
  EXPECT_EQ(words("a\xC2\xBD\xE2\x82\xAC"), (Words{"a", "\xC2\xBD", "\xE2\x82\xAC"}));
  EXPECT_EQ(words("a\xE3\x80\x80"
                  "b"),
            (Words{"a", "\xE3\x80\x80", "b"}));
}

}  // namespace
}  // namespace akin::text
