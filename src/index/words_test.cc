// Words of a text, and BM25 over them against sums written down by hand.
#include "index/words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "base/rng.h"
#include "index/document_store.h"
#include "index/rank_fusion.h"

namespace akin::index {
namespace {

std::vector<std::string> words(std::string_view text, WordSide side = WordSide::document) {
  std::vector<std::string> out;
  WordSplitter splitter(text, side);
  for (Word word; splitter.next(word);) {
    EXPECT_LE(word.end, text.size());
    EXPECT_LT(word.begin, word.end);
    out.push_back(word.text);
  }
  return out;
}

using Words = std::vector<std::string>;

TEST(Words, FoldsLetters) {
  EXPECT_EQ(words("Don't PANIC, 42-times!"), (Words{"don", "t", "panic", "42", "times"}));
  EXPECT_EQ(words("Crème BRÛLÉE Straße ﬁne Ｆｕｌｌ"),
            (Words{"creme", "brulee", "strasse", "fine", "full"}));
  EXPECT_EQ(words("Ελλάδα Ёлка"), (Words{"ελλαδα", "елка"}));
  EXPECT_EQ(words("cre\xCC\x80me"), (Words{"creme"}));  // an accent of its own
  EXPECT_EQ(words("हिन्दी"), (Words{"हिन्दी"}));          // its marks are no accents
  EXPECT_TRUE(words(" .,;!? \t\n ").empty());
  EXPECT_TRUE(words("").empty());
}

TEST(Words, CutsRunsWithoutSpaces) {
  EXPECT_EQ(words("图像处理"), (Words{"图", "图像", "像", "像处", "处", "处理", "理"}));
  EXPECT_EQ(words("图像处理", WordSide::query), (Words{"图像", "像处", "处理"}));
  EXPECT_EQ(words("用C语言", WordSide::query), (Words{"用", "c", "语言"}));
  EXPECT_EQ(words("天", WordSide::query), (Words{"天"}));
  EXPECT_EQ(words("天"), (Words{"天"}));
  EXPECT_EQ(words("ｶﾅ。天", WordSide::query), (Words{"カナ", "天"}));
  EXPECT_EQ(words("한국어", WordSide::query), (Words{"한국", "국어"}));
}

TEST(Words, AcceptsAnyBytes) {
  EXPECT_EQ(words("a\xFF\xFE b\xE4\xB8 c"), (Words{"a", "b", "c"}));
  EXPECT_EQ(words(std::string_view("x\0y", 3)), (Words{"x", "y"}));
  const std::string endless(100000, 'x');
  ASSERT_EQ(words(endless).size(), 1U);
  EXPECT_EQ(words(endless)[0].size(), kMaxWordBytes);
  Rng rng(3);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (int i = 0; i < 40; ++i) bytes += static_cast<char>(rng.below(256));
    words(bytes);
    words(bytes, WordSide::query);
  }
}

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "akin_words_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

IndexSpec small_spec() {
  IndexSpec spec;
  spec.vectors.dims = 4;
  return spec;
}

std::unique_ptr<DocumentStore> store_of(const Folder& folder, const Words& texts) {
  DocumentStore::create(folder.path, small_spec());
  auto store = std::make_unique<DocumentStore>(folder.path, true);
  auto state = store->state();
  Transaction transaction(store->database(), Transaction::Kind::write);
  for (size_t i = 0; i < texts.size(); ++i) {
    store->insert({"d" + std::to_string(i), texts[i], ""}, true, state);
  }
  store->write_state(state);
  transaction.commit();
  return store;
}

std::vector<WordHit> search(DocumentStore& store, std::string_view query, size_t k) {
  LiveDocuments live;
  store.read_live(0, live);
  const auto total = static_cast<uint64_t>(store.state().total_words);
  PostingCache cache;
  return search_words(store.database(), query, k, {live.numbers, live.words, total}, {}, cache,
                      {1, 2, 3});
}

// The formula of words_postings.h over lists of words, nothing else.
std::vector<std::pair<double, size_t>> naive(const Words& texts, const std::string& query) {
  std::vector<std::map<std::string, double>> counts(texts.size());
  double total = 0;
  std::vector<double> lengths(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    for (const auto& word : words(texts[i])) ++counts[i][word], ++lengths[i];
    total += lengths[i];
  }
  const double n = static_cast<double>(texts.size()), average = total / n;
  std::vector<std::pair<double, size_t>> out;
  auto asked = words(query, WordSide::query);
  std::sort(asked.begin(), asked.end());
  asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
  std::vector<double> scores(texts.size());
  for (const auto& word : asked) {
    const auto df = static_cast<double>(std::count_if(
        counts.begin(), counts.end(), [&](const auto& count) { return count.contains(word); }));
    const double idf = std::log(1 + (n - df + 0.5) / (df + 0.5));
    for (size_t i = 0; i < texts.size(); ++i) {
      if (!counts[i].contains(word)) continue;
      const double tf = counts[i][word];
      scores[i] += idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * lengths[i] / average));
    }
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    if (scores[i] > 0) out.emplace_back(scores[i], i);
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a.first > b.first || (a.first == b.first && a.second < b.second);
  });
  return out;
}

Words random_texts(size_t count, Rng& rng) {
  static const Words kWords = {"red",      "green", "Blue", "the", "of",    "图像",
                               "处理",     "天气",  "café", "x1",  "music", "player",
                               "播放音乐", "a\"b",  "OR",   "near"};
  Words out(count);
  for (auto& text : out) {
    const size_t length = 1 + rng.below(30);
    for (size_t i = 0; i < length; ++i) {
      // Some words are common, some rare.
      const size_t most = 1 + rng.below(kWords.size());
      text += kWords[rng.below(most)] + (rng.below(3) == 0 ? ", " : " ");
    }
  }
  return out;
}

TEST(Bm25, EqualsTheFormula) {
  Rng rng(5);
  const auto texts = random_texts(400, rng);
  const Folder folder;
  const auto store = store_of(folder, texts);
  for (const std::string query : {"red", "the music", "播放音乐 player", "天", "CAFE of the",
                                  "green green green blue x1", "absent red", "图像处理的天气"}) {
    const auto expected = naive(texts, query);
    const auto found = search(*store, query, texts.size());
    ASSERT_EQ(found.size(), expected.size()) << query;
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(found[i].score, expected[i].first, 1e-12 * expected[i].first) << query;
      const auto same = std::find_if(expected.begin(), expected.end(),
                                     [&](const auto& e) { return e.second == found[i].position; });
      ASSERT_NE(same, expected.end());
      EXPECT_NEAR(same->first, found[i].score, 1e-12 * found[i].score);
    }
    const auto few = search(*store, query, 7);
    ASSERT_EQ(few.size(), std::min<size_t>(7, found.size()));
    for (size_t i = 0; i < few.size(); ++i) EXPECT_EQ(few[i].position, found[i].position);
  }
}

TEST(Bm25, RemovedTextsCountNowhere) {
  Rng rng(6);
  auto texts = random_texts(120, rng);
  const Folder folder;
  const auto store = store_of(folder, texts);
  auto state = store->state();
  {
    Transaction transaction(store->database(), Transaction::Kind::write);
    for (size_t i = 0; i < 120; i += 3) store->remove("d" + std::to_string(i), true, state);
    store->write_state(state);
    transaction.commit();
  }
  Words left;
  for (size_t i = 0; i < 120; ++i) {
    if (i % 3 != 0) left.push_back(texts[i]);
  }
  const auto expected = naive(left, "red music 天气");
  const auto found = search(*store, "red music 天气", 200);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i].score, expected[i].first, 1e-12);
  }
  store->database().run("INSERT INTO words(words) VALUES('integrity-check')");
}

TEST(Bm25, CachedPostingsGiveTheSame) {
  Rng rng(7);
  const Folder folder;
  const auto store = store_of(folder, random_texts(3000, rng));
  LiveDocuments live;
  store->read_live(0, live);
  const auto total = static_cast<uint64_t>(store->state().total_words);
  const WordDocuments documents{live.numbers, live.words, total};
  PostingCache cache;
  const PostingCache::Moment moment{1, 3000, 0};
  const auto ask = [&] {
    return search_words(store->database(), "red the music", 50, documents, {}, cache, moment);
  };
  const auto first = ask(), second = ask();
  ASSERT_TRUE(cache.find(moment, "red"));
  EXPECT_FALSE(cache.find({1, 3001, 0}, "red"));
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].position, second[i].position);
    EXPECT_EQ(first[i].score, second[i].score);
  }
}

TEST(Bm25, QueriesAreNeverSyntax) {
  const Folder folder;
  const auto store = store_of(folder, {"red apple", "NOT near", "green OR red"});
  for (const std::string query : {"\"", "\"\"", "red AND", "NEAR(red apple, 2)", "red*", "^red",
                                  "text:red", "-red", "(", "{text} : red", "a\" OR \"b", "red\n--",
                                  "*", "'; DROP TABLE words; --", "\xFF\xC0", "NOT"}) {
    EXPECT_NO_THROW(search(*store, query, 10)) << query;
  }
  EXPECT_EQ(search(*store, "NOT", 10).size(), 1U);
  EXPECT_EQ(search(*store, "text:red*", 10).size(), 2U);
}

TEST(RankFusion, SumsReciprocalRanks) {
  const std::vector<Ranked> near = {{7, 0.9}, {3, 0.8}, {5, 0.7}};
  const std::vector<Ranked> worded = {{3, 11.0}, {9, 8.0}};
  const auto fused = fuse_ranks(near, worded, 10, 60);
  ASSERT_EQ(fused.size(), 4U);
  EXPECT_EQ(fused[0].item, 3U);
  EXPECT_DOUBLE_EQ(fused[0].score, 1.0 / 62 + 1.0 / 61);
  EXPECT_EQ(fused[0].first, 0.8);
  EXPECT_EQ(fused[0].second, 11.0);
  EXPECT_EQ(fused[1].item, 7U);
  EXPECT_DOUBLE_EQ(fused[1].score, 1.0 / 61);
  EXPECT_FALSE(fused[1].second.has_value());
  EXPECT_EQ(fused[2].item, 9U);
  EXPECT_EQ(fused[3].item, 5U);
  EXPECT_EQ(fuse_ranks(near, worded, 1, 60).size(), 1U);
  EXPECT_TRUE(fuse_ranks({}, {}, 5, 60).empty());
  // Equal scores: the lower item.
  const auto tied = fuse_ranks(std::vector<Ranked>{{4, 1}}, std::vector<Ranked>{{2, 1}}, 5, 60);
  EXPECT_EQ(tied[0].item, 2U);
}

}  // namespace
}  // namespace akin::index
