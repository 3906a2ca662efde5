// Words, terms and sentences by their places.
#include "data/placed_words.h"

#include <gtest/gtest.h>

#include <string>

#include "data/fold.h"

namespace akin::data {
namespace {

TEST(PlacedWords, SentencesEndWhereTheyDo) {
  const std::string text = "Dr. J. Smith paid 3.50 (\"fine.\") Then he left!  好的。再见？ no stop";
  std::vector<std::string> found;
  for (const auto& place : sentences(text)) {
    found.push_back(text.substr(place.begin, place.end - place.begin));
  }
  EXPECT_EQ(found, (std::vector<std::string>{"Dr. J. Smith paid 3.50 (\"fine.\")", "Then he left!",
                                             "好的。", "再见？", "no stop"}));
  EXPECT_TRUE(sentences("").empty());
  EXPECT_TRUE(sentences(" \n ").empty());
}

TEST(PlacedWords, AreTheWordsOfTheFold) {
  const std::string text = "The Zürich-Bergen line, 2nd part: 苏黎世到卑尔根的 Bahn・line_3";
  std::string folded;
  append_folded(text, folded);
  std::vector<std::string_view> words;
  split_words(folded, words);
  const auto placed = placed_words(text);
  ASSERT_EQ(placed.size(), words.size());
  for (size_t i = 0; i < words.size(); ++i) {
    std::string word;
    append_folded(text.substr(placed[i].begin, placed[i].end - placed[i].begin), word);
    EXPECT_EQ(word, words[i]);
  }
  EXPECT_TRUE(placed[1].capital);
  EXPECT_FALSE(placed[3].capital);
}

TEST(PlacedWords, TermsOfIdeographsAreNeighbours) {
  const std::string text = "去苏黎世 by train 吧";
  std::vector<std::string> found;
  for (const auto& term : placed_terms(text, placed_words(text))) {
    found.push_back(text.substr(term.begin, term.end - term.begin));
  }
  EXPECT_EQ(found, (std::vector<std::string>{"去苏", "苏黎", "黎世", "by", "train", "吧"}));
}

}  // namespace
}  // namespace akin::data
