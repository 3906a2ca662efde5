// Texts as sets of words and of pairs of neighbouring words, kept on disk for a whole corpus, and
// how much two of them share. Exact where data/minhash.h estimates: candidates are few.
//
// Words are those of data/fold.h: lower case, no punctuation, an ideograph or kana is a word. Rare
// words weigh more: questions and articles of one pattern differ in the one word that matters.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "base/threads.h"
#include "mine/text_file.h"

namespace akin::mine {

// In how many texts a word is, counted in a table of hashes: words that share a place count
// together. Memory: 16 MB.
class WordWeights {
 public:
  WordWeights() : counts_(kPlaces) {}
  // Thread-safe, but not beside level().
  void count(std::span<const uint32_t> words);
  void add_texts(size_t texts) { texts_ += texts; }
  // 1 + log2(texts / texts with the word), from 1 to 15.
  uint32_t level(uint32_t word) const;

 private:
  static constexpr size_t kPlaces = size_t{1} << 22;
  std::vector<std::atomic<uint32_t>> counts_;
  uint64_t texts_ = 0;
};

// Rising, each once: 28 bits of hash, and in the lowest four the weight; a pair weighs the mean of
// its words.
struct WordSet {
  std::span<const uint32_t> words, pairs;
};

struct OwnedWordSet {
  OwnedWordSet(std::string_view text, const WordWeights& weights);
  WordSet view() const { return {words, pairs}; }
  std::vector<uint32_t> words, pairs;
};

// Jaccard similarity of the words by weight; 0 where either has none.
double word_similarity(const WordSet& a, const WordSet& b);
// The share, by weight, of the lighter text's pairs that the other one has; 0 where a text has
// fewer than kLeastPairs of them, for a few words are in many texts.
inline constexpr size_t kLeastPairs = 6;
double pair_overlap(const WordSet& a, const WordSet& b);

// The texts of a file, which must be closed, counted into the weights.
void count_words(const TextFile& texts, WordWeights& weights, ThreadPool& pool,
                 const ProgressSink& progress);

// The sets of all texts of a file, which must be closed. Memory: 8 bytes a text. Thread-safe.
class WordSets {
 public:
  WordSets(const TextFile& texts, const WordWeights& weights, const std::filesystem::path& path,
           ThreadPool& pool, const ProgressSink& progress);
  WordSet operator[](uint32_t number) const;

 private:
  TextFile sets_;
};

}  // namespace akin::mine
