// A unigram language model over pieces while it is being fitted to a corpus: expectation,
// maximization, pruning. Not the schedule of a training (train_unigram.h). Follows Kudo 2018
// (arXiv:1804.10959, section 3.2) and, in the M-step and the loss, sentencepiece.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/threads.h"
#include "text/train_corpus.h"
#include "text/unigram_trie.h"

namespace akin::text {

// Sums over words are of integers, so that no result depends on threads. Borrows the corpus and the
// pool. Not thread-safe.
class UnigramEm {
 public:
  struct Piece {
    std::u16string symbols;
    double score = 0;  // log-probability
  };
  struct Expectation {
    double log_likelihood = 0;  // of the corpus, summed over all paths
    double tokens = 0;          // expected
  };
  // plain: relative frequencies, under which the likelihood never falls. sparse: digamma of the
  // counts (variational Bayes with a prior of nothing), which starves rare pieces.
  enum class Update : uint8_t { plain, sparse };

  // Every character of the alphabet must be among the pieces, the characters first.
  UnigramEm(const TrainingCorpus& corpus, const std::vector<SeedPiece>& seeds, ThreadPool& pool);

  const std::vector<Piece>& pieces() const { return pieces_; }
  Expectation expect();
  // New scores from the last expect(). Pieces expected less than `least` times are dropped;
  // characters never are, and with `least` 0 none is.
  void maximize(Update update, double least);
  // Drops pieces until `keep` are left: first those that no best path takes, then those whose loss
  // costs the likelihood least. Characters stay.
  void prune(size_t keep);
  // How often the best paths of the corpus take each piece.
  std::vector<uint64_t> best_path_counts();

 private:
  struct Lattice;
  void rebuild();
  void scan(std::span<const Symbol> word, Lattice& lattice) const;
  double expect_word(std::span<const Symbol> word, double count, Lattice& lattice,
                     std::vector<int64_t>& sums) const;
  double best_path(std::span<const Symbol> word, uint32_t without, Lattice& lattice) const;
  double loss(size_t i, const std::vector<uint64_t>& counts, double total, Lattice& lattice) const;
  void keep_only(const std::vector<uint8_t>& kept);

  const TrainingCorpus& corpus_;
  ThreadPool& pool_;
  std::vector<Piece> pieces_;
  std::vector<double> expected_;  // [pieces]
  std::vector<double> tilted_;    // [pieces] exp(score + tilt * length)
  double tilt_ = 4;               // nats a character: keeps products of probabilities near 1
  UnigramTrie trie_;
  std::vector<uint32_t> codes_;  // [alphabet + 1] of the trie
};

// The logarithmic derivative of the gamma function, for x > 0.
double digamma(double x);

}  // namespace akin::text
