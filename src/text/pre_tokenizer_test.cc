// Pre-tokenizers: the pieces and where they came from.
#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace akin::text {
namespace {

using Strings = std::vector<std::string>;

SplitText run(std::string_view json, std::string_view text) {
  const JsonDocument document = JsonDocument::parse(json, "test");
  const auto pre_tokenizer = make_pre_tokenizer(JsonValue(document));
  SplitText split;
  split.text.tracking = true;
  for (uint32_t i = 0; i < text.size(); ++i) {
    split.text.append(text.substr(i, 1), {i, i + 1});
  }
  split.pieces.push_back({0, static_cast<uint32_t>(text.size()), -1, {}, true});
  pre_tokenizer->apply(split);
  EXPECT_EQ(split.text.spans.size(), split.text.text.size());
  return split;
}

Strings pieces(std::string_view json, std::string_view text) {
  const SplitText split = run(json, text);
  Strings out;
  for (const Piece& piece : split.pieces) out.emplace_back(split.view(piece));
  return out;
}

TEST(PreTokenizer, Words) {
  EXPECT_EQ(pieces(R"({"type":"BertPreTokenizer"})", "Hey, you\u3000a。b!!"),
            (Strings{"Hey", ",", "you", "a", "。", "b", "!", "!"}));
  EXPECT_EQ(pieces(R"({"type":"Whitespace"})", "Hey! __a--b é\u0301"),
            (Strings{"Hey", "!", "__a", "--", "b", "é\u0301"}));
  EXPECT_EQ(pieces(R"({"type":"WhitespaceSplit"})", " Hey, you\n"), (Strings{"Hey,", "you"}));
  EXPECT_EQ(pieces(R"({"type":"Punctuation"})", "a,b"), (Strings{"a", ",", "b"}));
  EXPECT_EQ(pieces(R"({"type":"Punctuation","behavior":"Contiguous"})", "a,!b"),
            (Strings{"a", ",!", "b"}));
  EXPECT_EQ(pieces(R"({"type":"Digits"})", "a12b½"), (Strings{"a", "12", "b", "½"}));
  EXPECT_EQ(pieces(R"({"type":"Digits","individual_digits":true})", "a12"),
            (Strings{"a", "1", "2"}));
  EXPECT_EQ(pieces(R"({"type":"CharDelimiterSplit","delimiter":"-"})", "a-b--c"),
            (Strings{"a", "b", "c"}));
  EXPECT_EQ(pieces(R"({"type":"WhitespaceSplit"})", "  "), Strings{});
}

TEST(PreTokenizer, SplitBehaviors) {
  const auto split = [](std::string_view behavior) {
    return pieces(std::string(R"({"type":"Split","pattern":{"String":"-"},"behavior":")") +
                      std::string(behavior) + R"(","invert":false})",
                  "the-final--countdown");
  };
  EXPECT_EQ(split("Removed"), (Strings{"the", "final", "countdown"}));
  EXPECT_EQ(split("Isolated"), (Strings{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(split("MergedWithPrevious"), (Strings{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(split("MergedWithNext"), (Strings{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(split("Contiguous"), (Strings{"the", "-", "final", "--", "countdown"}));
  EXPECT_EQ(pieces(R"({"type":"Split","pattern":{"Regex":"\\w+"},"behavior":"Removed",
                       "invert":true})",
                   "a b,c"),
            (Strings{"a", "b", "c"}));
  EXPECT_THROW(split("Sideways"), Error);
}

TEST(PreTokenizer, Metaspace) {
  EXPECT_EQ(pieces(R"({"type":"Metaspace"})", "Hey  you"), (Strings{"▁Hey", "▁", "▁you"}));
  EXPECT_EQ(pieces(R"({"type":"Metaspace"})", " Hey "), (Strings{"▁Hey", "▁"}));
  EXPECT_EQ(pieces(R"({"type":"Metaspace","add_prefix_space":false})", "Hey you"),
            (Strings{"Hey", "▁you"}));
  EXPECT_EQ(pieces(R"({"type":"Metaspace","prepend_scheme":"never"})", "a"), (Strings{"a"}));
  EXPECT_EQ(pieces(R"({"type":"Metaspace","split":false})", "a b"), (Strings{"▁a▁b"}));
  EXPECT_EQ(pieces(R"({"type":"Metaspace"})", "▁a▁b"), (Strings{"▁a", "▁b"}));
  EXPECT_EQ(pieces(R"({"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},
                       {"type":"Metaspace","prepend_scheme":"first"}]})",
                   "a b"),
            (Strings{"▁a", "b"}));
  EXPECT_EQ(pieces(R"({"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},
                       {"type":"Metaspace","prepend_scheme":"first"}]})",
                   " a b"),
            (Strings{"a", "b"}));  // the first piece does not begin the text
  EXPECT_THROW(pieces(R"({"type":"Metaspace","replacement":"ab"})", "a"), Error);
  const SplitText split = run(R"({"type":"Metaspace"})", "ab c");
  EXPECT_EQ(split.text.source(split.pieces[0].begin, split.pieces[0].end), (Span{0, 2}));
  EXPECT_EQ(split.text.source(split.pieces[1].begin, split.pieces[1].end), (Span{2, 4}));
}

TEST(PreTokenizer, ByteLevel) {
  EXPECT_EQ(pieces(R"({"type":"ByteLevel","add_prefix_space":false})", "Hello world"),
            (Strings{"Hello", "Ġworld"}));
  EXPECT_EQ(pieces(R"({"type":"ByteLevel","add_prefix_space":true})", "a é"),
            (Strings{"Ġa", "ĠÃ©"}));
  EXPECT_EQ(pieces(R"({"type":"ByteLevel","use_regex":false})", "a b"), (Strings{"ĠaĠb"}));
  const SplitText split = run(R"({"type":"ByteLevel","add_prefix_space":true})", "a b");
  EXPECT_EQ(split.text.source(split.pieces[0].begin, split.pieces[0].end), (Span{0, 1}));
  EXPECT_EQ(split.text.source(split.pieces[1].begin, split.pieces[1].end), (Span{1, 3}));
}

TEST(PreTokenizer, GrowthEndsInAnError) {  // bytes beyond ASCII double with every step
  std::string steps = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false})";
  const std::string step = steps;
  for (int i = 1; i < 40; ++i) steps += "," + step;
  try {
    run(R"({"type":"Sequence","pretokenizers":[)" + steps + "]}", "é");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_format);
  }
}

TEST(PreTokenizer, LeavesAddedTokensAlone) {
  SplitText split;
  split.text.text = "a b[X]c d";
  split.pieces = {{0, 3, -1, {}, true}, {3, 6, 7, {3, 6}, false}, {6, 9, -1, {}, false}};
  const JsonDocument document = JsonDocument::parse(R"({"type":"Metaspace"})", "test");
  make_pre_tokenizer(JsonValue(document))->apply(split);
  ASSERT_EQ(split.pieces.size(), 5U);
  EXPECT_EQ(split.pieces[2].id, 7);
  EXPECT_EQ(split.view(split.pieces[2]), "[X]");
  EXPECT_EQ(split.view(split.pieces[3]), "▁c");
}

TEST(PreTokenizer, SaysWhatItDoesNotKnow) {
  EXPECT_THROW(pieces(R"({"type":"UnicodeScripts"})", "a"), Error);
  EXPECT_THROW(
      pieces(R"({"type":"Split","pattern":{"Regex":"(?<=a)b"},"behavior":"Isolated"})", "a"),
      Error);
}

}  // namespace
}  // namespace akin::text
