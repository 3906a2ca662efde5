// Unigram against the plain form of the same algorithm, on small self-made vocabularies.
#include "text/unigram.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>

#include "base/error.h"
#include "base/rng.h"

namespace akin::text {
namespace {

using Tokens = std::vector<std::pair<std::string, double>>;

Unigram make(const Tokens& tokens, std::optional<int32_t> unk_id, bool byte_fallback = false) {
  UnigramVocab vocab;
  for (const auto& [token, score] : tokens) {
    vocab.tokens.push_back(token);
    vocab.scores.push_back(score);
  }
  vocab.unk_id = unk_id;
  vocab.byte_fallback = byte_fallback;
  return Unigram(vocab, "test");
}

std::vector<std::string> pieces(const Unigram& model, std::string_view text) {
  std::vector<SubToken> tokens;
  model.tokenize(text, tokens);
  std::vector<std::string> out;
  for (const auto& t : tokens) out.emplace_back(text.substr(t.begin, t.end - t.begin));
  return out;
}

std::vector<int32_t> ids(const Unigram& model, std::string_view text) {
  std::vector<SubToken> tokens;
  model.tokenize(text, tokens);
  std::vector<int32_t> out;
  for (const auto& t : tokens) out.push_back(t.id);
  return out;
}

// The reference: a node per position, every token tried by name.
std::vector<int32_t> naive(const Tokens& tokens, int32_t unk, std::string_view text) {
  std::map<std::string, int32_t, std::less<>> by_name;
  double least = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < tokens.size(); ++i) {
    by_name[tokens[i].first] = static_cast<int32_t>(i);
    least = std::min(least, tokens[i].second);
  }
  struct Node {
    double score = 0;
    int64_t start = -1;
    int32_t id = 0;
  };
  std::vector<Node> nodes(text.size() + 1);
  const auto relax = [&](size_t start, size_t end, double score, int32_t id) {
    const double total = score + nodes[start].score;
    if (nodes[end].start < 0 || total > nodes[end].score) {
      nodes[end] = {total, static_cast<int64_t>(start), id};
    }
  };
  for (size_t at = 0; at < text.size();) {
    size_t next = at + 1;
    while (next < text.size() && (text[next] & 0xC0) == 0x80) ++next;
    bool single = false;
    for (size_t end = at + 1; end <= std::min(text.size(), at + 20); ++end) {  // longest: 16 bytes
      const auto it = by_name.find(text.substr(at, end - at));
      if (it == by_name.end()) continue;
      relax(at, end, tokens[static_cast<size_t>(it->second)].second, it->second);
      single = single || end == next;
    }
    if (!single) relax(at, next, least - 10, unk);
    at = next;
  }
  std::vector<int32_t> out;
  size_t run_end = 0;  // of unknown tokens, going backwards
  for (size_t end = text.size(); end > 0;) {
    const Node& node = nodes[end];
    const auto start = static_cast<size_t>(node.start);
    if (node.id != unk) {
      out.push_back(node.id);
    } else {
      if (run_end == 0) run_end = end;
      if (start == 0 || nodes[start].id != unk) {
        const auto it = by_name.find(text.substr(start, run_end - start));
        out.push_back(it != by_name.end() ? it->second : unk);
        run_end = 0;
      }
    }
    end = start;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

TEST(Unigram, FindsTheBestPathOfTheReferenceExample) {
  const Unigram model = make({{"<unk>", 0},
                              {"a", 0},
                              {"b", 0},
                              {"c", 0},
                              {"d", 0},
                              {"cd", 1},
                              {"ab", 2},
                              {"abc", 5},
                              {"abcd", 10}},
                             0);
  EXPECT_EQ(pieces(model, "abcdacdxx"), (std::vector<std::string>{"abcd", "a", "cd", "xx"}));
  EXPECT_EQ(ids(model, "xaxx"), (std::vector<int32_t>{0, 1, 0}));  // unknown runs are one token
  EXPECT_EQ(ids(model, "x<unk>x"), (std::vector<int32_t>{0}));     // also with the token itself
  EXPECT_TRUE(pieces(model, "").empty());
  EXPECT_EQ(model.token_id("abc"), 7);
  EXPECT_EQ(model.token(7), "abc");
  EXPECT_EQ(model.token(9), "");
  EXPECT_EQ(model.vocab_size(), 9u);
}

TEST(Unigram, EqualScoresKeepTheEarlierPath) {
  const Unigram model = make({{"<unk>", 0}, {"a", -1}, {"aa", -2}, {"aaa", -3}}, 0);
  EXPECT_EQ(ids(model, "aaaa"),
            naive({{"<unk>", 0}, {"a", -1}, {"aa", -2}, {"aaa", -3}}, 0, "aaaa"));
}

TEST(Unigram, FallsBackToBytesOnlyWhenAllAreThere) {
  const Unigram model = make({{"<unk>", 0}, {"a", -1}, {"<0xC3>", -2}, {"<0xA9>", -3}}, 0, true);
  EXPECT_EQ(ids(model, "a\xC3\xA9"), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(ids(model, "a\xC3\xA8"), (std::vector<int32_t>{1, 0}));
}

TEST(Unigram, EqualsTheNaiveFormOnRandomText) {
  Rng rng(3);
  const std::vector<std::string> letters = {
      "a", "b", "c", "\xC3\xA9", "\xE4\xBD\xA0", "\xE2\x96\x81", "\xF0\x9F\x98\x80"};
  for (int round = 0; round < 60; ++round) {
    Tokens tokens = {{"<unk>", 0.0}};
    for (int i = 0; i < 40; ++i) {
      std::string token;
      for (size_t n = 1 + rng.below(4); n-- > 0;) token += letters[rng.below(letters.size())];
      // Few distinct scores: many ties.
      tokens.emplace_back(token, round % 2 ? -rng.uniform() * 9 : -double(rng.below(3)));
    }
    const Unigram model = make(tokens, 0);
    for (int i = 0; i < 30; ++i) {
      std::string text;
      const size_t length = i == 0 ? 5000 : 1 + rng.below(30);  // over one window, and words
      for (size_t n = length; n-- > 0;) text += letters[rng.below(letters.size())];
      ASSERT_EQ(ids(model, text), naive(tokens, 0, text)) << text;
      ASSERT_EQ(ids(model, text), naive(tokens, 0, text)) << "from the cache: " << text;
    }
  }
}

TEST(Unigram, WordsEqualPieces) {
  Rng rng(5);
  const std::string meta = "\xE2\x96\x81";
  Tokens tokens = {{"<unk>", 0.0}, {meta, -3}};
  const std::vector<std::string> letters = {"a", "b", "c", "\xC2\xA9", meta};
  for (int i = 0; i < 60; ++i) {
    std::string token = rng.below(2) ? meta : "";
    for (size_t n = 1 + rng.below(3); n-- > 0;) token += letters[rng.below(4)];
    tokens.emplace_back(token, -rng.uniform() * 9);
  }
  const Unigram model = make(tokens, 0);
  const std::vector<std::string> parts = {"a",  "bc", "ca\xC2\xA9",   " ",        "  ",
                                          "\t", meta, "\xE3\x80\x80", "\xC2\x85", "\xE2\x80\xA8"};
  const auto cut = [&](const std::string& text, bool prefix) {  // Metaspace with split
    std::vector<std::string> out;
    std::string spaced;
    for (const char c : text) spaced += c == ' ' ? meta : std::string(1, c);
    if (!spaced.empty() && prefix && !spaced.starts_with(meta)) spaced.insert(0, meta);
    while (!spaced.empty()) {
      const size_t end = spaced.find(meta, 1);
      out.push_back(spaced.substr(0, end));
      spaced.erase(0, end == std::string::npos ? spaced.size() : end);
    }
    return out;
  };
  const auto white = [](const std::string& part) {
    return part[0] == ' ' || part == "\t" || part == "\xE3\x80\x80" || part == "\xC2\x85" ||
           part == "\xE2\x80\xA8";
  };
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    std::vector<std::string> words(1);
    for (size_t n = rng.below(9); n-- > 0;) {
      const std::string& part = parts[rng.below(parts.size())];
      text += part;
      if (white(part)) {
        words.emplace_back();
      } else {
        words.back() += part;
      }
    }
    for (const bool prefix : {true, false}) {
      std::vector<int32_t> expected, got;
      for (const auto& piece : cut(text, prefix)) {
        for (const int32_t id : ids(model, piece)) expected.push_back(id);
      }
      model.encode_words(text, {.whitespace = false, .prepend = prefix}, got);
      ASSERT_EQ(got, expected) << text;
      expected.clear();
      got.clear();
      for (const auto& word : words) {
        for (const auto& piece : cut(word, prefix)) {
          for (const int32_t id : ids(model, piece)) expected.push_back(id);
        }
      }
      model.encode_words(text, {.whitespace = true, .prepend = prefix}, got);
      ASSERT_EQ(got, expected) << text;
    }
    std::string collapsed;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != ' ' || i == 0 || text[i - 1] != ' ') collapsed += text[i];
    }
    std::vector<int32_t> once, twice;
    model.encode_words(collapsed, {}, once);
    model.encode_words(text, {.collapse_spaces = true}, twice);
    ASSERT_EQ(once, twice) << text;
  }
}

TEST(Unigram, LongTextWithoutMeetingPoints) {
  // Tokens of one length only: paths of every phase stay open, and the window must grow.
  const Unigram model = make({{"<unk>", 0}, {"aaa", -1}, {"aaaa", -1.5}}, 0);
  const std::string text(20000, 'a');
  EXPECT_EQ(ids(model, text), naive({{"<unk>", 0}, {"aaa", -1}, {"aaaa", -1.5}}, 0, text));
}

TEST(Unigram, RefusesABadVocabulary) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(make({}, 0), Error);
  EXPECT_THROW(make({{"a", nan}}, 0), Error);
  EXPECT_THROW(make({{"a", -1e300}}, 0), Error);
  EXPECT_THROW(make({{"a", 0}}, 1), Error);
  const Unigram without_unk = make({{"a", 0}}, std::nullopt);
  EXPECT_EQ(ids(without_unk, "aa").size(), 2u);
  EXPECT_THROW(ids(without_unk, "b"), Error);
}

TEST(Unigram, ReadsTheModelObject) {
  const auto read = [](std::string_view json) {
    const JsonDocument document = JsonDocument::parse(json, "tokenizer.json");
    return make_unigram(JsonValue(document));
  };
  const auto model = read(R"({"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["a",-1.5]]})");
  EXPECT_EQ(model->token_id("a"), 1);
  EXPECT_EQ(model->unk_id(), 0);
  EXPECT_THROW(read(R"({"unk_id":0})"), Error);
  EXPECT_THROW(read(R"({"unk_id":5,"vocab":[["a",0]]})"), Error);
  EXPECT_THROW(read(R"({"unk_id":0,"vocab":[["a"]]})"), Error);
  EXPECT_THROW(read(R"({"unk_id":0,"vocab":{"a":0}})"), Error);
}

}  // namespace
}  // namespace akin::text
