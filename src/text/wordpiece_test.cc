// WordPiece against a naive search, and the trie and vocabulary below it.
#include "text/wordpiece.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/rng.h"

namespace akin::text {
namespace {

// The definition: try every prefix, longest first.
std::vector<int32_t> naive(const std::map<std::string, int32_t>& vocab, const std::string& word) {
  std::vector<int32_t> ids;
  for (size_t begin = 0; begin < word.size();) {
    size_t end = word.size();
    while (end > begin &&
           !vocab.contains((begin > 0 ? "##" : "") + word.substr(begin, end - begin))) {
      --end;
    }
    if (end == begin) return {0};
    ids.push_back(vocab.at((begin > 0 ? "##" : "") + word.substr(begin, end - begin)));
    begin = end;
  }
  return ids;
}

TEST(WordPiece, EqualsTheDefinition) {
  Rng rng(3);
  const auto letters = [&](size_t most) {
    std::string word;
    for (uint64_t n = 1 + rng.below(most); n > 0; --n) word += "abc"[rng.below(3)];
    return word;
  };
  for (int round = 0; round < 30; ++round) {
    std::map<std::string, int32_t> vocab{{"[UNK]", 0}};
    for (int i = 1; i < 60; ++i) {
      vocab.emplace((rng.below(2) == 0 ? "##" : "") + letters(5), i);
    }
    std::vector<Vocabulary::Entry> entries;
    for (const auto& [token, id] : vocab) entries.push_back({token, id});
    const WordPiece model(Vocabulary(entries, "test"), {}, "test");
    for (int i = 0; i < 300; ++i) {
      const std::string word = letters(20);
      std::vector<int32_t> ids;
      model.append_ids(word, ids);
      EXPECT_EQ(ids, naive(vocab, word)) << word;
      std::vector<SubToken> tokens;
      model.tokenize(word, tokens);
      ASSERT_EQ(tokens.size(), ids.size());
      for (size_t k = 0; k < ids.size(); ++k) EXPECT_EQ(tokens[k].id, ids[k]);
      EXPECT_EQ(tokens.back().end, word.size());
    }
  }
}

TEST(WordPiece, LongWordsAreUnknown) {
  const std::vector<Vocabulary::Entry> entries = {{"[UNK]", 0}, {"中", 1}, {"##中", 2}};
  const WordPiece model(Vocabulary(entries, "test"), {}, "test");
  std::string word;
  for (int i = 0; i < 100; ++i) word += "中";
  std::vector<int32_t> ids;
  model.append_ids(word, ids);
  EXPECT_EQ(ids.size(), 100U);
  ids.clear();
  model.append_ids(word + "中", ids);
  EXPECT_EQ(ids, std::vector<int32_t>{0});
}

TEST(WordPiece, SaysWhatIsWrong) {
  const auto read = [](std::string_view json) {
    const JsonDocument document = JsonDocument::parse(json, "test");
    return make_wordpiece(JsonValue(document));
  };
  EXPECT_EQ(read(R"({"vocab":{"[UNK]":0,"a":1}})")->vocab_size(), 2U);
  EXPECT_THROW(read(R"({"vocab":{"a":1}})"), Error);               // no unknown token
  EXPECT_THROW(read(R"({"vocab":{"[UNK]":-1}})"), Error);          // a negative id
  EXPECT_THROW(read(R"({"vocab":{"[UNK]":2000000000}})"), Error);  // a lying id
  EXPECT_THROW(read(R"({"vocab":{"[UNK]":"0"}})"), Error);
  EXPECT_THROW(read(R"({"vocab":["[UNK]"]})"), Error);
  EXPECT_THROW(read(R"({"vocab":{"[UNK]":0},"max_input_chars_per_word":-1})"), Error);
}

TEST(ByteTrie, FindsTheLongestKey) {
  Rng rng(4);
  std::map<std::string, int32_t> map;
  for (int i = 0; i < 3000; ++i) {
    std::string key;
    for (uint64_t n = 1 + rng.below(6); n > 0; --n) key += static_cast<char>(1 + rng.below(255));
    map[key] = i;
    if (i % 3 == 0) map[key.substr(0, 1 + rng.below(key.size()))] = i + 5000;
  }
  std::vector<ByteTrie::Key> keys;
  for (const auto& [key, value] : map) keys.push_back({key, value});
  const ByteTrie trie(keys, "test");
  for (const auto& [key, value] : map) {
    const std::string text = key + static_cast<char>(rng.below(256));
    size_t length = text.size();
    while (length > 0 && !map.contains(text.substr(0, length))) --length;
    int32_t found = -1;
    EXPECT_EQ(trie.longest(text, ByteTrie::kRoot, &found), length);
    EXPECT_EQ(found, map.at(text.substr(0, length)));
  }
  int32_t found = -1;
  EXPECT_EQ(trie.longest(std::string(3, '\0'), ByteTrie::kRoot, &found), 0U);
  EXPECT_EQ(ByteTrie().longest("abc", ByteTrie::kRoot, &found), 0U);
}

TEST(Vocabulary, BothWays) {
  const Vocabulary v({{"a", 0}, {"b", 5}, {"", 2}, {"a", 3}}, "test");
  EXPECT_EQ(v.size(), 6U);
  EXPECT_EQ(v.find("a"), 3);  // the last one counts
  EXPECT_EQ(v.find("b"), 5);
  EXPECT_EQ(v.find(""), 2);
  EXPECT_FALSE(v.find("c"));
  EXPECT_EQ(v.token(5), "b");
  EXPECT_EQ(v.token(1), "");
  EXPECT_EQ(v.token(-1), "");
  EXPECT_EQ(v.token(6), "");
  EXPECT_EQ(Vocabulary({}, "test").size(), 0U);
}

}  // namespace
}  // namespace akin::text
