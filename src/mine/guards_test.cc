// The guards and rules one by one: sets of words, score rules, choosing.
#include "mine/guards.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "mine/select.h"

namespace akin::mine {
namespace {

double similarity(std::string_view a, std::string_view b, const WordWeights& weights = {}) {
  const OwnedWordSet x(a, weights), y(b, weights);
  return word_similarity(x.view(), y.view());
}
double overlap(std::string_view a, std::string_view b) {
  const WordWeights weights;
  const OwnedWordSet x(a, weights), y(b, weights);
  return pair_overlap(x.view(), y.view());
}

TEST(Words, SimilarityIsThatOfWordSets) {
  EXPECT_DOUBLE_EQ(similarity("The red fox.", "the RED, fox!"), 1);
  EXPECT_DOUBLE_EQ(similarity("a b c d", "a b c e"), 3.0 / 5);
  EXPECT_DOUBLE_EQ(similarity("红色的狐狸", "红色的狗"), 3.0 / 6);
  EXPECT_DOUBLE_EQ(similarity("a b", "c d"), 0);
  EXPECT_DOUBLE_EQ(similarity("?!", "?!"), 0);  // no words: equal texts are one document anyway
}

TEST(Words, RareWordsWeighMore) {
  WordWeights weights, nobody;
  for (int i = 0; i < 64; ++i) {
    const OwnedWordSet text("what are the symptoms of x" + std::to_string(i), nobody);
    std::vector<uint32_t> words;
    for (const uint32_t word : text.words) words.push_back(word & ~15U);
    weights.count(words);
  }
  weights.add_texts(64);
  EXPECT_NEAR(similarity("what are the symptoms of x1", "what are the symptoms of x2"), 5.0 / 7,
              1e-9);
  // Five words of weight 1, two of weight 7.
  EXPECT_NEAR(similarity("what are the symptoms of x1", "what are the symptoms of x2", weights),
              5.0 / 19, 1e-9);
}

TEST(Words, OverlapFindsAPieceOfAText) {
  const std::string piece = "the committee met on thursday to discuss the budget";
  const std::string whole =
      "Minutes. " + piece + " of the coming year, and went home late in the evening after a vote";
  EXPECT_LT(similarity(piece, whole), 0.5);
  EXPECT_DOUBLE_EQ(overlap(piece, whole), 1);
  EXPECT_DOUBLE_EQ(overlap("to the", whole), 0);  // a few words are in many texts
}

TEST(Nearness, IsThatToTheMiddleOfQueryAndAnswer) {
  // Query and answer at a right angle, the text between them, all of unit length.
  EXPECT_NEAR(nearness(std::sqrt(0.5), std::sqrt(0.5), 0, {}), std::sqrt(2.0), 1e-9);
  EXPECT_NEAR(nearness(0.8, 0.8, 0.8, {}), 1.6 / 1.8, 1e-9);  // as near as they are to each other
  EXPECT_NEAR(nearness(1, 0.8, 0.8, {}), 1, 1e-9);            // the query itself
  // The same above a background.
  const auto raised = [](double cosine, double from) { return from + (1 - from) * cosine; };
  EXPECT_NEAR(nearness(raised(0.3, 0.7), raised(0.5, 0.6), raised(0.6, 0.7), {0.7, 0.6}),
              nearness(0.3, 0.5, 0.6, {}), 1e-9);
  EXPECT_NEAR(nearness(0.3, 0.3, -0.9, {}), 0.6, 1e-9);
}

TEST(ScoreRules, FollowNvRetriever) {
  GuardOptions options;
  options.share = 0.95;
  EXPECT_EQ(ScoreRules(options, 0.8F).judge(0.75F), Fate::passes);
  EXPECT_EQ(ScoreRules(options, 0.8F).judge(0.77F), Fate::share);
  // A share of a negative score would be above it.
  EXPECT_EQ(ScoreRules(options, -0.2F).judge(-0.195F), Fate::share);
  EXPECT_EQ(ScoreRules(options, -0.2F).judge(-0.21F), Fate::passes);
  options.margin = 0.1;
  EXPECT_EQ(ScoreRules(options, 0.8F).judge(0.75F), Fate::margin);
  options.share = 0;
  options.margin.reset();
  EXPECT_EQ(ScoreRules(options, 0.8F).judge(0.99F), Fate::passes);
  options.max_score = 0.7;
  options.min_score = 0.2;
  EXPECT_EQ(ScoreRules(options, 0.8F).judge(0.71F), Fate::max_score);
  EXPECT_EQ(ScoreRules(options, 0.8F).judge(0.1F), Fate::min_score);
  EXPECT_EQ(ScoreRules(options, 0.8F).judge(0.2F), Fate::passes);
}

TEST(ScoreRules, OptionsOutOfRangeAreRefused) {
  GuardOptions options;
  options.share = 2.5;
  EXPECT_THROW(check_guards(options), Error);
  options.share = 0.95;
  options.min_score = 0.5;
  options.max_score = 0.5;
  EXPECT_THROW(check_guards(options), Error);
}

TEST(Select, TakesWhatItSays) {
  EXPECT_EQ(select(Sampling::top, 10, 3, 1), (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(select(Sampling::random, 2, 3, 1), (std::vector<uint32_t>{0, 1}));
  EXPECT_TRUE(select(Sampling::corpus, 10, 3, 1).empty());
  const auto strata = select(Sampling::stratified, 100, 10, 7);
  ASSERT_EQ(strata.size(), 10U);
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(strata[i] / 10, i);
  EXPECT_EQ(select(Sampling::random, 100, 10, 7), select(Sampling::random, 100, 10, 7));
  EXPECT_NE(select(Sampling::random, 100, 10, 7), select(Sampling::random, 100, 10, 8));
  std::vector<int> drawn(5);
  for (uint64_t seed = 0; seed < 5000; ++seed) {
    const auto some = select(Sampling::random, 5, 2, seed);
    ASSERT_EQ(some.size(), 2U);
    EXPECT_LT(some[0], some[1]);
    for (const uint32_t i : some) ++drawn[i];
  }
  for (const int times : drawn) EXPECT_NEAR(times, 2000, 200);
}

}  // namespace
}  // namespace akin::mine
