// Whole tokenizers from tokenizer.json: ids, offsets, added tokens, decoding; and that the fused
// path gives what the general one gives on hostile text.
#include "text/tokenizer_json.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "base/rng.h"
#include "text/test_text.h"

namespace akin::text {
namespace {

using Ids = std::vector<int32_t>;

std::unique_ptr<Pipeline> make(const std::string& json) { return make_pipeline(json, "test", {}); }

Ids ids_of(const Tokenizer& tokenizer, std::string_view text, bool special = false) {
  Ids ids;
  const size_t count = tokenizer.encode(text, special, ids);
  EXPECT_EQ(count, ids.size());
  return ids;
}

TEST(TokenizerJson, EncodesWithSpecialTokens) {
  const auto t = make(wordpiece_json(""));
  EXPECT_TRUE(t->is_fused());
  EXPECT_EQ(ids_of(*t, "ab Hello, a1!", true), (Ids{2, 9, 14, 21, 5, 19, 20, 3}));
  EXPECT_EQ(ids_of(*t, ""), Ids{});
  EXPECT_EQ(ids_of(*t, "", true), (Ids{2, 3}));
  EXPECT_EQ(t->vocab_size(), 49U);
  EXPECT_EQ(t->max_length(), 128U);
  EXPECT_EQ(t->unk_id(), 1);
  EXPECT_EQ(t->model_type(), "WordPiece");
  EXPECT_EQ(t->prefix_ids().size(), 1U);
  EXPECT_EQ(t->suffix_ids()[0], 3);
  EXPECT_TRUE(t->is_special(2));
  EXPECT_FALSE(t->is_special(5));
  EXPECT_EQ(t->token_id("[MASK]"), 4);
  EXPECT_EQ(t->token(9), "ab");
  EXPECT_EQ(t->token(1000), "");
  EXPECT_EQ(t->decode(ids_of(*t, "abc, hello!", true), true), "abc, hello!");
  EXPECT_EQ(t->decode(Ids{2, 5, 99999, -1}, false), "[CLS] a");
}

TEST(TokenizerJson, InvalidBytesBecomeReplacementCharacters) {
  const auto t = make(wordpiece_json(R"(,"clean_text":false)"));
  Ids ids;
  size_t replaced = 2;
  t->encode("a\xFF \xE4\xB8", false, ids, &replaced);
  EXPECT_EQ(replaced, 4U);
  EXPECT_EQ(ids, (Ids{1, 1}));
  const Encoding e = t->encode_with_offsets("a \xFF\xFF b", false);
  EXPECT_EQ(e.ids, (Ids{5, 1, 7}));
  EXPECT_EQ(e.begin, (std::vector<uint32_t>{0, 2, 5}));
  EXPECT_EQ(e.end, (std::vector<uint32_t>{1, 4, 6}));
}

TEST(TokenizerJson, Offsets) {
  const auto t = make(wordpiece_json(""));
  const Encoding e = t->encode_with_offsets("É 中abc [MASK]", true);
  EXPECT_EQ(e.ids, (Ids{2, 1, 24, 10, 4, 3}));
  EXPECT_EQ(e.begin, (std::vector<uint32_t>{0, 0, 3, 6, 9, 0}));
  EXPECT_EQ(e.end, (std::vector<uint32_t>{0, 2, 6, 9, 16, 0}));  // the mask takes its blank along
  EXPECT_EQ(e.special, (std::vector<uint8_t>{1, 0, 0, 0, 0, 1}));
}

TEST(TokenizerJson, AddedTokens) {
  // Not in the model: takes the next id. normalized: found in the normalized text.
  const auto t =
      make(wordpiece_json("", R"({"id":49,"content":"NeW","normalized":true,"single_word":true},)"
                              R"({"id":50,"content":"<r>","normalized":false,"rstrip":true},)"));
  EXPECT_FALSE(t->is_fused());
  EXPECT_EQ(t->vocab_size(), 51U);
  EXPECT_EQ(ids_of(*t, "a nEw b"), (Ids{5, 49, 7}));
  EXPECT_EQ(ids_of(*t, "xnew new_"), (Ids{1, 1, 40}));
  EXPECT_EQ(ids_of(*t, "a<r>  b[CLS][MASK]"), (Ids{5, 50, 7, 2, 4}));
  EXPECT_EQ(ids_of(*t, "[cls]"), (Ids{44, 1, 45}));
  EXPECT_EQ(ids_of(*t, "  [MASK]<r> <r>"), (Ids{4, 50, 50}));
  const Encoding e = t->encode_with_offsets("a <r> nEw", false);
  EXPECT_EQ(e.begin, (std::vector<uint32_t>{0, 2, 6}));
  EXPECT_EQ(e.end, (std::vector<uint32_t>{1, 6, 9}));
}

TEST(TokenizerJson, FusedEqualsGeneral) {
  const std::string kOptions[] = {
      "",
      R"(,"lowercase":false)",
      R"(,"lowercase":false,"strip_accents":true)",
      R"(,"strip_accents":false)",
      R"(,"clean_text":false)",
      R"(,"handle_chinese_chars":false)",
      R"(,"clean_text":false,"handle_chinese_chars":false,"lowercase":false)"};
  Rng rng(5);
  for (const std::string& options : kOptions) {
    const auto t = make(wordpiece_json(options));
    ASSERT_TRUE(t->is_fused());
    for (int i = 0; i < 3000; ++i) {
      const std::string text = hostile_text(rng, 1 + rng.below(20), i % 4 == 0);
      Ids general;
      t->encode_general(text, general);
      ASSERT_EQ(ids_of(*t, text), general) << options << ": " << quote(text, 300);
    }
  }
}

TEST(TokenizerJson, FusedUnigramEqualsGeneral) {
  const std::string kPreTokenizers[] = {
      R"({"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace"}]})",
      R"({"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},
          {"type":"Metaspace","prepend_scheme":"never"}]})",
      R"({"type":"Metaspace"})", R"({"type":"Metaspace","prepend_scheme":"first"})",
      R"({"type":"Metaspace","prepend_scheme":"never"})"};
  const std::string kNormalizers[] = {
      "null", R"({"type":"NFKC"})",
      R"({"type":"Sequence","normalizers":[{"type":"Nmt"},{"type":"Strip","strip_left":false},
          {"type":"Replace","pattern":{"Regex":" {2,}"},"content":"▁"}]})",
      R"({"type":"Strip"})"};
  Rng rng(9);
  for (const std::string& pre_tokenizer : kPreTokenizers) {
    for (const std::string& normalizer : kNormalizers) {
      const auto t = make(
          R"({"added_tokens":[{"content":"[CLS]","special":true,"normalized":false},
          {"content":"[MASK]","lstrip":true,"special":true,"normalized":false}],"normalizer":)" +
          normalizer + R"(,"pre_tokenizer":)" + pre_tokenizer +
          R"(,"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["▁",-2],["a",-3],["b",-3],
          ["ab",-3.5],["▁a",-4],["中",-5],["▁hello",-6],["hello",-7],["▁▁",-8],["!",-9]]}})");
      ASSERT_TRUE(t->is_fused());
      for (int i = 0; i < 400; ++i) {
        std::string text = hostile_text(rng, 1 + rng.below(12), i % 4 == 0);
        if (i % 3 == 0) text.insert(rng.below(text.size() + 1), "  ");
        Ids general;
        t->encode_general(text, general);
        ASSERT_EQ(ids_of(*t, text), general)
            << pre_tokenizer << normalizer << ": " << quote(text, 300);
      }
    }
  }
}

TEST(TokenizerJson, FusedEqualsGeneralForEveryCharacter) {
  for (const char* options : {"", R"(,"lowercase":false)", R"(,"clean_text":false)"}) {
    const auto t = make(wordpiece_json(options));
    std::string text;
    for (char32_t c = 0; c < 0x110000; c += c < 0x30000 ? 1 : 61) {
      if (c >= 0xD800 && c < 0xE000) continue;
      text += 'a';
      append_utf8(c, text);
      text += 'b';
      if (c % 64 != 63) continue;
      Ids general;
      t->encode_general(text, general);
      ASSERT_EQ(ids_of(*t, text), general) << options << " up to U+" << std::hex << uint32_t{c};
      text.clear();
    }
  }
}

TEST(TokenizerJson, OffsetsStayInside) {
  Rng rng(6);
  const auto t = make(wordpiece_json(""));
  for (int i = 0; i < 1000; ++i) {
    const std::string text = hostile_text(rng, 15, i % 2 == 0);
    const Encoding e = t->encode_with_offsets(text, true);
    ASSERT_EQ(e.ids.size(), e.begin.size());
    for (size_t k = 0; k < e.ids.size(); ++k) {
      ASSERT_LE(e.begin[k], e.end[k]);
      ASSERT_LE(e.end[k], text.size());
      ASSERT_LT(static_cast<size_t>(e.ids[k]), t->vocab_size());
    }
  }
}

TEST(TokenizerJson, ManyThreadsOneTokenizer) {
  const auto t = make(wordpiece_json(""));
  Rng rng(7);
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) texts.push_back(hostile_text(rng, 10, false));
  std::vector<Ids> expected(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) t->encode_general(texts[i], expected[i]);
  std::vector<std::jthread> threads;
  for (int n = 0; n < 4; ++n) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(ids_of(*t, texts[i]), expected[i]);
    });
  }
}

TEST(TokenizerJson, ByteLevelBpeWithTrimmedOffsets) {
  const auto t = make(R"({"added_tokens":[{"content":"<mask>","lstrip":true,"special":true,
      "normalized":true}],"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
      "post_processor":{"type":"RobertaProcessing","sep":["b",1],"cls":["a",0],
      "trim_offsets":true,"add_prefix_space":false},"decoder":{"type":"ByteLevel"},
      "model":{"type":"BPE","vocab":{"a":0,"b":1,"Ġ":2,"Ġa":3},"merges":["Ġ a"]}})");
  const Encoding e = t->encode_with_offsets("b a <mask>", true);
  EXPECT_EQ(e.ids, (Ids{0, 1, 3, 4, 1}));
  EXPECT_EQ(e.begin, (std::vector<uint32_t>{0, 0, 2, 4, 0}));
  EXPECT_EQ(e.end, (std::vector<uint32_t>{0, 1, 3, 10, 0}));
  EXPECT_EQ(t->decode(e.ids, true), "ab ab");
}

TEST(TokenizerJson, SaysWhatIsWrong) {
  const auto kind = [](const std::string& json) {
    try {
      make(json);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::internal;
  };
  EXPECT_EQ(kind("{"), ErrorKind::bad_format);
  EXPECT_EQ(kind("[]"), ErrorKind::bad_format);
  EXPECT_EQ(kind("{}"), ErrorKind::bad_format);
  EXPECT_EQ(kind(R"({"version":"2.0","model":{}})"), ErrorKind::unsupported);
  EXPECT_EQ(kind(R"({"model":{"type":"WordLevel","vocab":{}}})"), ErrorKind::unsupported);
  EXPECT_EQ(kind(R"({"model":{"type":"WordPiece","vocab":{}}})"), ErrorKind::bad_format);
  EXPECT_EQ(kind(R"({"model":{"type":"WordPiece","vocab":{"[UNK]":0}},
      "post_processor":{"type":"BertProcessing","sep":["b",9],"cls":["a",1]}})"),
            ErrorKind::bad_format);
  EXPECT_EQ(kind(R"({"model":{"type":"WordPiece","vocab":{"[UNK]":0}},"added_tokens":[{}]})"),
            ErrorKind::bad_format);
}

}  // namespace
}  // namespace akin::text
