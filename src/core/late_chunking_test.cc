// Where documents are cut, and what the means are of.
#include "core/late_chunking.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace akin {
namespace {

// A token for every run of letters and for every other sign that is not a space, between two
// special ones; token t has the vector (t, 1). SentencePiece and byte-level BPE count the space
// before a word among its bytes.
TokenVectors tokens_of(const std::string& text, bool with_space_before = false) {
  TokenVectors out;
  const auto add = [&](size_t begin, size_t end) {
    out.ids.push_back(1);
    out.begin.push_back(static_cast<uint32_t>(begin));
    out.end.push_back(static_cast<uint32_t>(end));
  };
  const auto letter = [&](size_t i) {
    return i < text.size() && std::isalpha(static_cast<unsigned char>(text[i])) != 0;
  };
  add(0, 0);
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    while (letter(i) && letter(end)) ++end;
    if ((text[i] & 0xE0) == 0xE0) end = i + 3;
    size_t begin = i;
    while (with_space_before && begin > 0 && (text[begin - 1] == ' ' || text[begin - 1] == '\n')) {
      --begin;
    }
    if (text[i] != ' ' && text[i] != '\n') add(begin, end);
    i = end;
  }
  add(0, 0);
  out.vectors = Mat<float>(out.ids.size(), 2);
  for (size_t t = 0; t < out.ids.size(); ++t) {
    out.vectors(t, 0) = static_cast<float>(t);
    out.vectors(t, 1) = 1;
  }
  return out;
}

std::vector<std::string> cut(const std::string& text, size_t most) {
  const auto pieces = [&](bool with_space_before) {
    std::vector<std::string> out;
    for (const TextChunk& chunk : chunk_tokens(text, tokens_of(text, with_space_before), most))
      out.push_back(text.substr(chunk.begin, chunk.end - chunk.begin));
    return out;
  };
  auto out = pieces(false);
  EXPECT_EQ(out, pieces(true)) << text;
  return out;
}

TEST(LateChunking, CutsAtSentencesAndLinesInTheSecondHalf) {
  EXPECT_EQ(cut("One two three. Four five six seven.", 6),
            (std::vector<std::string>{"One two three.", "Four five six seven."}));
  EXPECT_EQ(cut("a b c d e f g", 3), (std::vector<std::string>{"a b c", "d e f", "g"}));
  EXPECT_EQ(cut("a. b c d e f g", 5), (std::vector<std::string>{"a. b c d", "e f g"}));
  EXPECT_EQ(cut("a b c. d e f g h i", 8), (std::vector<std::string>{"a b c.", "d e f g h i"}));
  EXPECT_EQ(cut("version 1.2.3 is out", 5), (std::vector<std::string>{"version 1.2.", "3 is out"}));
  EXPECT_EQ(cut("a b c\nd e f", 4), (std::vector<std::string>{"a b c", "d e f"}));
  EXPECT_EQ(cut("\u6211\u8D70\u3002\u4F60\u6765", 4),
            (std::vector<std::string>{"\u6211\u8D70\u3002", "\u4F60\u6765"}));
  EXPECT_TRUE(cut("", 4).empty());
  EXPECT_EQ(cut("one", 4), std::vector<std::string>{"one"});
  EXPECT_THROW(cut("one", 0), Error);
}

TEST(LateChunking, ChunksAreMeansOfTheirOwnTokens) {
  const std::string text = "a b c d";
  const TokenVectors tokens = tokens_of(text);
  const auto chunks = chunk_tokens(text, tokens, 2);
  ASSERT_EQ(chunks.size(), 2U);
  Mat<float> out(2, 2);
  pool_chunks(tokens, chunks, false, out.view());
  EXPECT_FLOAT_EQ(out(0, 0), 1.5F);  // tokens 1 and 2: the special ones are left out
  EXPECT_FLOAT_EQ(out(1, 0), 3.5F);
  EXPECT_FLOAT_EQ(out(1, 1), 1);
  pool_chunks(tokens, chunks, true, out.view());
  EXPECT_NEAR(out(0, 0) * out(0, 0) + out(0, 1) * out(0, 1), 1, 1e-6);
  Mat<float> short_rows(2, 1);
  pool_chunks(tokens, chunks, false, short_rows.view());
  EXPECT_FLOAT_EQ(short_rows(1, 0), 3.5F);
}

}  // namespace
}  // namespace akin
