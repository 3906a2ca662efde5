// Unigram training: seeds, the likelihood, the alphabet, and a tokenizer.json that encodes as the
// training did.
#include "text/train_unigram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "text/test_text.h"
#include "text/tokenizer.h"
#include "text/train_em.h"
#include "text/train_script.h"

namespace akin::text {
namespace {

CorpusCounts count(const std::vector<std::string>& texts, const VocabRecipe& recipe = {},
                   size_t threads = 1) {
  WordCounter counter(word_cutter(recipe), 1000000, threads);
  for (const auto& text : texts) counter.add(text);
  return counter.finish();
}

std::vector<std::string> bilingual_texts() {
  const std::vector<std::string> words = {
      "machine", "learning", "learns",       "the",      "a",        "cat",      "cats", "sat",
      "deep",    "network",  "机器学习",     "深度学习", "神经网络", "人工智能", "学习", "(cat)",
      "2024",    "it's",     "用Python编程", "。"};
  Rng rng(7);
  std::vector<std::string> texts;
  for (int i = 0; i < 400; ++i) {
    std::string text;
    for (int j = 0; j < 9; ++j) {
      text += words[rng.below(words.size())];
      if (rng.below(4) != 0) text += ' ';
    }
    texts.push_back(text);
  }
  return texts;
}

UnigramTrainOptions options_for(size_t vocab_size) {
  UnigramTrainOptions options;
  options.vocab_size = vocab_size;
  options.coverage = 1;
  return options;
}

std::set<std::string> texts_of(const VocabTraining& trained) {
  std::set<std::string> out;
  for (const auto& piece : trained.pieces) out.insert(piece.text);
  return out;
}

TEST(CorpusWords, MarksWordsAndPartsKinds) {
  VocabRecipe recipe;
  recipe.lowercase = true;
  const auto counts = count({"The cat (the CAT).  用Python3编程 ， it\xE2\x80\x99s"}, recipe);
  std::set<std::string> words;
  for (const auto& word : counts.words) words.insert(word.text);
  EXPECT_EQ(words, (std::set<std::string>{"▁the", "▁cat", "(", ").", "用", "▁python", "3", "编程",
                                          ",", "▁it", "'", "▁s"}));
  EXPECT_EQ(counts.words[0].count, 2U);
  EXPECT_EQ(counts.texts, 1U);
}

TEST(CorpusWords, CapsAreCountedAndThreadsDoNotShow) {
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) texts.push_back("common w" + std::to_string(i));
  WordCounter small(word_cutter({}), 100, 1);
  for (const auto& text : texts) small.add(text);
  const auto capped = small.finish();
  EXPECT_LE(capped.words.size(), 100U);
  EXPECT_GT(capped.dropped_words, 2900U);
  EXPECT_EQ(capped.words[0].text, "▁common");
  uint64_t kept = 0;
  for (const auto& word : capped.words) kept += word.count;
  EXPECT_EQ(kept + capped.dropped_occurrences, capped.occurrences);
  const auto one = count(texts), three = count(texts, {}, 3);
  ASSERT_EQ(one.words.size(), three.words.size());
  for (size_t i = 0; i < one.words.size(); ++i) EXPECT_EQ(one.words[i].text, three.words[i].text);
}

TEST(TrainScript, MarksFollowTheirLetters) {
  std::vector<std::string_view> parts;
  split_by_kind("▁नमस्तेabc日本ひらカナ12", 64, parts);
  EXPECT_EQ(parts, (std::vector<std::string_view>{"▁नमस्ते", "abc", "日本", "ひらカナ", "12"}));
  parts.clear();
  split_by_kind("aaaaa", 2, parts);
  EXPECT_EQ(parts.size(), 3U);
  EXPECT_EQ(character_kind(0x3007, kSign), kHan);
}

// Every repeated stretch, the slow way.
TEST(TrainSeed, AgreesWithBruteForce) {
  const auto counts = count(bilingual_texts());
  const auto corpus = make_training_corpus(counts.words, 1, 0);
  std::map<std::u16string, uint64_t> all;
  std::map<std::u16string, std::set<int>> before, behind;
  for (size_t w = 0; w < corpus.size(); ++w) {
    const auto word = corpus.word(w);
    for (size_t i = 0; i < word.size(); ++i) {
      for (size_t n = 2; n <= 5 && i + n <= word.size(); ++n) {
        const std::u16string stretch(word.begin() + static_cast<ptrdiff_t>(i),
                                     word.begin() + static_cast<ptrdiff_t>(i + n));
        const int unique = -static_cast<int>(w) - 1;  // an edge of a word differs from all
        all[stretch] += corpus.counts[w];
        before[stretch].insert(i == 0 ? unique : word[i - 1]);
        behind[stretch].insert(i + n == word.size() ? unique : word[i + n]);
      }
    }
  }
  std::map<std::u16string, uint64_t> expected;
  const auto free = [](const std::set<int>& around) {
    return around.size() > 1 || *around.begin() < 0;
  };
  for (const auto& [stretch, n] : all) {
    const bool open = stretch.size() == 5 || free(behind[stretch]);
    if (n >= 2 && free(before[stretch]) && open) expected[stretch] = n;
  }
  ThreadPool pool(2);
  SeedLimits limits;
  limits.max_characters = limits.max_ideographs = 5;
  std::map<std::u16string, uint64_t> found;
  for (const auto& seed : find_seed_pieces(corpus, limits, pool)) {
    if (seed.symbols.size() > 1) found[seed.symbols] = seed.count;
  }
  EXPECT_EQ(found, expected);
}

TEST(TrainEm, LikelihoodNeverFalls) {
  const auto counts = count(bilingual_texts());
  const auto corpus = make_training_corpus(counts.words, 1, 0);
  ThreadPool pool(2);
  UnigramEm em(corpus, find_seed_pieces(corpus, {}, pool), pool);
  double last = -INFINITY;
  for (int i = 0; i < 12; ++i) {
    const auto now = em.expect();
    EXPECT_GE(now.log_likelihood, last - 1e-6 * std::abs(now.log_likelihood)) << i;
    last = now.log_likelihood;
    em.maximize(UnigramEm::Update::plain, 0);
  }
}

// Two words of one character each time: "ab" twice, "a" once. By hand, with p(a), p(b), p(ab).
TEST(TrainEm, ExpectationByHand) {
  TrainingCorpus corpus;
  corpus.alphabet = {U'a', U'b'};
  corpus.alphabet_counts = {3, 2};
  corpus.symbols = {1, 2, 0, 1, 0};
  corpus.begin = {0, 3, 5};
  corpus.counts = {2, 1};
  corpus.covered_characters = 5;
  ThreadPool pool(1);
  // Scores begin as count times length: a 3/9, b 2/9, ab 4/9.
  UnigramEm em(corpus, {{u"\x1", 3}, {u"\x2", 2}, {u"\x1\x2", 2}}, pool);
  const double joint = 4.0 / 9, apart = 3.0 / 9 * 2.0 / 9;
  const auto found = em.expect();
  EXPECT_NEAR(found.log_likelihood, 2 * std::log(joint + apart) + std::log(3.0 / 9), 1e-9);
  const double split = 2 * apart / (joint + apart);
  EXPECT_NEAR(found.tokens, (2 - split) + 2 * split + 1, 1e-5);
  em.maximize(UnigramEm::Update::plain, 0);
  EXPECT_NEAR(std::exp(em.pieces()[0].score), (1 + split) / found.tokens, 1e-5);
  EXPECT_EQ(em.best_path_counts(), (std::vector<uint64_t>{1, 0, 2}));
  EXPECT_NEAR(digamma(1), -0.57721566490153286, 1e-12);
  EXPECT_NEAR(digamma(0.5), -1.9635100260214235, 1e-12);
}

TEST(TrainUnigram, FindsTheWords) {
  const auto counts = count(bilingual_texts());
  const auto trained = train_unigram(counts.words, options_for(90));
  EXPECT_EQ(trained.pieces.size(), 90U);  // exactly as many as were asked for
  const auto pieces = texts_of(trained);
  for (const char* word :
       {"▁the", "▁learning", "▁network", "▁cat", "▁Python", "人工智能", "学习"}) {
    EXPECT_TRUE(pieces.contains(word)) << word;
  }
  EXPECT_LT(trained.tokens, trained.characters / 2);
}

TEST(TrainUnigram, DoesNotDependOnThreads) {
  const auto words = count(bilingual_texts()).words;
  auto options = options_for(80);
  const auto one = train_unigram(words, options);
  options.threads = 4;
  const auto four = train_unigram(words, options);
  ASSERT_EQ(one.pieces.size(), four.pieces.size());
  for (size_t i = 0; i < one.pieces.size(); ++i) {
    EXPECT_EQ(one.pieces[i].text, four.pieces[i].text);
    EXPECT_EQ(one.pieces[i].score, four.pieces[i].score);
  }
}

TEST(TrainUnigram, ReloadsAndEncodesAsTrained) {
  const VocabRecipe recipe{.lowercase = true, .special_tokens = {"[QUERY]"}};
  const auto texts = bilingual_texts();
  const auto counts = count(texts, recipe);
  const auto trained = train_unigram(counts.words, options_for(80));
  const auto tokenizer =
      Tokenizer::from_json(tokenizer_json(recipe, trained.pieces).dump(), "trained");
  EXPECT_EQ(tokenizer->vocab_size(), 86U);
  EXPECT_EQ(tokenizer->token_id("[QUERY]"), 5);
  std::vector<int32_t> ids;
  for (const auto& text : texts) tokenizer->encode(text, false, ids);
  EXPECT_EQ(ids.size(), trained.tokens);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 1), 0);
  ids.clear();
  tokenizer->encode("The cats [QUERY]人工智能", true, ids);
  std::string tokens;
  for (const auto id : ids) tokens += std::string(tokenizer->token(id)) + " ";
  EXPECT_EQ(tokens, "[CLS] ▁the ▁cats [QUERY] 人工智能 [SEP] ");
  EXPECT_EQ(tokenizer->decode(ids, true), "the cats人工智能");
}

TEST(TrainUnigram, CoverageLeavesRareCharactersOut) {
  std::vector<std::string> texts(200, "aaa bbb");
  texts.emplace_back("zaaa");
  auto options = options_for(20);
  options.coverage = 0.99;
  const auto trained = train_unigram(count(texts).words, options);
  EXPECT_EQ(trained.alphabet, 3U);
  EXPECT_EQ(trained.distinct_characters, 4U);
  const auto tokenizer = Tokenizer::from_json(tokenizer_json({}, trained.pieces).dump(), "t");
  std::vector<int32_t> ids;
  tokenizer->encode("zaaa", false, ids);
  EXPECT_NE(std::find(ids.begin(), ids.end(), 1), ids.end());
}

TEST(TrainUnigram, HostileInput) {
  EXPECT_THROW(train_unigram({}, options_for(10)), Error);
  EXPECT_THROW(train_unigram(count({"", "   "}).words, options_for(10)), Error);
  EXPECT_THROW(train_unigram(count({"abcdefgh"}).words, options_for(5)), Error);
  auto options = options_for(100);
  options.coverage = 2;
  EXPECT_THROW(train_unigram(count({"a"}).words, options), Error);
  std::vector<std::string> texts = {std::string(200000, 'a'), "\xFF\xFE\x80", "[PAD]", "▁ ▁▁",
                                    std::string("\0\x01", 2)};
  Rng rng(3);
  for (int i = 0; i < 50; ++i) {
    std::string bytes;
    for (int j = 0; j < 200; ++j) bytes.push_back(static_cast<char>(rng.below(256)));
    texts.push_back(bytes);
  }
  const auto counts = count(texts);
  EXPECT_GT(counts.replaced, 100U);
  const auto trained = train_unigram(counts.words, options_for(600));
  const auto tokenizer = Tokenizer::from_json(tokenizer_json({}, trained.pieces).dump(), "t");
  std::vector<int32_t> ids;
  for (const auto& text : texts) tokenizer->encode(text, false, ids);
  EXPECT_GT(ids.size(), 1000U);
}

TEST(VocabRecipe, SpecialTokensAreChecked) {
  EXPECT_THROW(special_tokens({.special_tokens = {"[CLS]"}}), Error);
  EXPECT_THROW(special_tokens({.special_tokens = {"x", "x"}}), Error);
  EXPECT_THROW(special_tokens({.special_tokens = {""}}), Error);
}

}  // namespace
}  // namespace akin::text
