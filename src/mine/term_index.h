// Which texts of a corpus share terms with a query: an inverted list of each term, in memory. Not a
// search engine: it offers candidates for failure cases, which look at the texts themselves. A text
// is known by its first terms and its rarest.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/progress.h"
#include "base/threads.h"
#include "mine/text_file.h"
#include "mine/words.h"

namespace akin::mine {

// A term's place in a table of weights.
inline uint32_t weight_key(uint64_t term) { return static_cast<uint32_t>(term >> 32); }

// The terms of texts, counted into the weights; the files must be closed.
void count_terms(const TextFile& texts, WordWeights& weights, ThreadPool& pool,
                 const ProgressSink& progress);

struct TermHit {
  uint32_t text = 0;
  uint32_t shared = 0;  // weight of the terms that it shares
};

// Memory: at most 8 * 2 * kTerms bytes a text, and two bytes a text for each thread that asks.
class TermIndex {
 public:
  static constexpr size_t kTerms = 16;
  // Texts looked at for one term: where more have it, the same share of all of them for every term.
  static constexpr size_t kMostTexts = 8192;
  TermIndex(const TextFile& texts, const WordWeights& weights, ThreadPool& pool,
            const ProgressSink& progress);
  // The texts that share most with these terms (keys of data/placed_words.h), best first, of equal
  // ones the lower number. Thread-safe.
  std::vector<TermHit> find(std::span<const uint64_t> terms, size_t most) const;

 private:
  const WordWeights& weights_;
  size_t texts_;
  std::vector<uint64_t> entries_;  // rising: term, and the text's number in a mixed order
};

}  // namespace akin::mine
