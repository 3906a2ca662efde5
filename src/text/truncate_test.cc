// Cutting ids, and texts with a prompt in front.
#include "text/truncate.h"

#include <gtest/gtest.h>

#include "text/prompted.h"

namespace akin::text {
namespace {

TEST(CutIds, KeepsSpecialTokens) {
  const std::vector<int32_t> ids = {101, 1, 2, 3, 4, 5, 102};
  std::vector<int32_t> right = ids, left = ids, middle = ids, tiny = ids;
  cut_ids(right, 4, 1, 1, Truncate::right);
  cut_ids(left, 4, 1, 1, Truncate::left);
  cut_ids(middle, 5, 1, 1, Truncate::middle);
  cut_ids(tiny, 1, 1, 1, Truncate::right);
  EXPECT_EQ(right, (std::vector<int32_t>{101, 1, 2, 102}));
  EXPECT_EQ(left, (std::vector<int32_t>{101, 4, 5, 102}));
  EXPECT_EQ(middle, (std::vector<int32_t>{101, 1, 2, 5, 102}));
  EXPECT_EQ(tiny, (std::vector<int32_t>{101}));
}

constexpr std::string_view kTokenizer = R"({"normalizer":null,
  "pre_tokenizer":{"type":"Whitespace"},
  "post_processor":{"type":"TemplateProcessing",
    "single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
              {"SpecialToken":{"id":"[SEP]","type_id":0}}],"pair":[],
    "special_tokens":{"[CLS]":{"id":"[CLS]","ids":[1],"tokens":["[CLS]"]},
                      "[SEP]":{"id":"[SEP]","ids":[2],"tokens":["[SEP]"]}}},
  "added_tokens":[],
  "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
    "max_input_chars_per_word":100,
    "vocab":{"[UNK]":0,"[CLS]":1,"[SEP]":2,"red":3,"fish":4,"ask":5,":":6}}})";

TEST(Prompted, GoesInFrontAndIsCounted) {
  const auto tokenizer = Tokenizer::from_json(kTokenizer, "t");
  std::vector<int32_t> ids;
  EXPECT_EQ(encode_prompted(*tokenizer, "ask: ", "red fish", false, true, ids), 6U);
  EXPECT_EQ(ids, (std::vector<int32_t>{1, 5, 6, 3, 4, 2}));
  EXPECT_EQ(count_prompt_tokens(*tokenizer, "ask: ", false, true), 3U);
  EXPECT_EQ(count_prompt_tokens(*tokenizer, "", false, true), 0U);
}

TEST(Prompted, LowersCaseAndCountsBadBytes) {
  const auto tokenizer = Tokenizer::from_json(kTokenizer, "t");
  std::vector<int32_t> ids;
  encode_prompted(*tokenizer, "", "RED Fish", true, false, ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{3, 4}));
  size_t replaced = 0;
  encode_prompted(*tokenizer, "", "red \xFF", true, false, ids, &replaced);
  EXPECT_EQ(replaced, 1U);
  encode_prompted(*tokenizer, "", "red \xFF", false, false, ids, &replaced);
  EXPECT_EQ(replaced, 2U);
}

}  // namespace
}  // namespace akin::text
