// Counted words as numbers: what the Unigram trainer works on. Not text any more, but for the
// alphabet that leads back to it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/corpus_words.h"

namespace akin::text {

// A symbol is a character's place in the alphabet plus one; 0 ends a word.
using Symbol = uint16_t;
inline constexpr size_t kMaxAlphabet = 65000;

struct TrainingCorpus {
  std::vector<char32_t> alphabet;         // most frequent first
  std::vector<uint64_t> alphabet_counts;  // how often each occurs
  std::vector<Symbol> symbols;            // of all words, each with a 0 behind it
  std::vector<uint32_t> begin;            // [words + 1], into symbols
  std::vector<uint64_t> counts;           // [words]
  uint64_t characters = 0;                // occurrences, before any was left out
  uint64_t covered_characters = 0;        // occurrences of the alphabet's
  size_t distinct_characters = 0;         // before any was left out

  size_t size() const { return counts.size(); }
  std::span<const Symbol> word(size_t i) const {  // without the 0
    return {symbols.data() + begin[i], begin[i + 1] - begin[i] - 1};
  }
  std::string text(std::span<const Symbol> word) const;
};

// The alphabet is the most frequent characters: as many as cover the share `coverage` of all
// occurrences, and at most `limit` (0: no limit but kMaxAlphabet). Other characters part a word.
// Errors: usage, when there is nothing in the words, or more than 4 G characters.
TrainingCorpus make_training_corpus(const std::vector<CorpusWord>& words, double coverage,
                                    size_t limit);

// A piece of the alphabet, and how often it occurs in the corpus.
struct SeedPiece {
  std::u16string symbols;
  uint64_t count = 0;
};

// The `most` candidates with the highest count times length: every character of the alphabet, and
// the repeated stretches that are not too long, occur at least min_count times, and that no
// character always stands before or behind. The result does not depend on threads.
struct SeedLimits {
  size_t max_characters = 16;
  size_t max_ideographs = 8;  // of ideographs and kana, whose runs hold whole sentences
  uint64_t min_count = 2;
  size_t most = 1000000;
};
std::vector<SeedPiece> find_seed_pieces(const TrainingCorpus& corpus, const SeedLimits& limits,
                                        ThreadPool& pool);

}  // namespace akin::text
