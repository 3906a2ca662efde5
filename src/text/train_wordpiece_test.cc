// WordPiece training: merges on a corpus small enough for a pencil, and the file it becomes.
#include "text/train_wordpiece.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/tokenizer.h"

namespace akin::text {
namespace {

std::vector<CorpusWord> count(const std::vector<std::string>& texts, const VocabRecipe& recipe) {
  WordCounter counter(word_cutter(recipe), 100000, 2);
  for (const auto& text : texts) counter.add(text);
  return counter.finish().words;
}

std::vector<std::string> texts_of(const VocabTraining& trained) {
  std::vector<std::string> out;
  for (const auto& piece : trained.pieces) out.push_back(piece.text);
  return out;
}

// Words: hug 10, pug 5, hugs 5. Pairs: ##u ##g 20, h ##u 15, ##g ##s 5, p ##u 5.
TEST(TrainWordPiece, MergesTheMostFrequentPair) {
  const std::vector<CorpusWord> words = {{"hug", 10}, {"hugs", 5}, {"pug", 5}};
  WordPieceTrainOptions options;
  options.vocab_size = 9;
  const auto trained = train_wordpiece(words, options);
  // The alphabet by frequency, ties by code point: g 20, u 20, h 15, p 5, s 5.
  EXPECT_EQ(texts_of(trained),
            (std::vector<std::string>{"g", "u", "h", "p", "s", "##g", "##u", "##s", "##ug"}));
  options.vocab_size = 50;
  options.min_frequency = 5;
  const auto all = texts_of(train_wordpiece(words, options));
  EXPECT_EQ((std::vector<std::string>(all.begin() + 8, all.end())),
            (std::vector<std::string>{"##ug", "hug", "pug", "hugs"}));
  EXPECT_EQ(train_wordpiece(words, options).tokens, 20U);
  options.min_frequency = 10;
  EXPECT_EQ(train_wordpiece(words, options).pieces.size(), 10U);
}

TEST(TrainWordPiece, OverlappingPairs) {
  WordPieceTrainOptions options;
  options.vocab_size = 10;
  options.min_frequency = 1;
  const auto trained = train_wordpiece({{"aaaaa", 3}}, options);
  // ##a ##a 9, then a ##aa and ##aa ##aa (3 each; the older parts win).
  EXPECT_EQ(texts_of(trained), (std::vector<std::string>{"a", "##a", "##aa", "aaa", "aaaaa"}));
}

TEST(TrainWordPiece, ReloadsAndEncodes) {
  VocabRecipe recipe;
  recipe.type = VocabType::wordpiece;
  recipe.lowercase = recipe.strip_accents = true;
  const std::vector<std::string> texts = {"Learning to learn, naïve learner!", "机器学习 learning",
                                          "learned 学习"};
  WordPieceTrainOptions options;
  options.vocab_size = 60;
  const auto trained = train_wordpiece(count(texts, recipe), options);
  const auto tokenizer =
      Tokenizer::from_json(tokenizer_json(recipe, trained.pieces).dump(), "trained");
  EXPECT_EQ(tokenizer->model_type(), "WordPiece");
  std::vector<int32_t> ids;
  for (const auto& text : texts) tokenizer->encode(text, false, ids);
  EXPECT_EQ(ids.size(), trained.tokens);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 1), 0);
  ids.clear();
  tokenizer->encode("LEARN 学", true, ids);
  std::string tokens;
  for (const auto id : ids) tokens += std::string(tokenizer->token(id)) + " ";
  EXPECT_EQ(tokens, "[CLS] learn 学 [SEP] ");
}

TEST(TrainWordPiece, Errors) {
  WordPieceTrainOptions options;
  options.vocab_size = 3;
  EXPECT_THROW(train_wordpiece({}, options), Error);
  EXPECT_THROW(train_wordpiece({{"abc", 1}}, options), Error);
}

}  // namespace
}  // namespace akin::text
