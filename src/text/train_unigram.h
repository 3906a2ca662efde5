// Trains a Unigram vocabulary from counted words. Not the model that uses it (unigram.h), nor the
// file (vocab_recipe.h). Follows Kudo 2018 (arXiv:1804.10959) and sentencepiece's schedule.
#pragma once

#include <vector>

#include "base/progress.h"
#include "text/corpus_words.h"
#include "text/vocab_recipe.h"

namespace akin::text {

struct UnigramTrainOptions {
  size_t vocab_size = 0;       // pieces, without the special tokens
  double coverage = 0.9995;    // share of the characters that become pieces
  size_t limit_alphabet = 0;   // most characters; 0: no limit
  uint64_t min_frequency = 2;  // of a candidate
  size_t max_piece_characters = 16;
  size_t max_piece_ideographs = 8;
  size_t seed_pieces = 1000000;  // candidates to begin with
  double shrink = 0.75;          // of the pieces that a round keeps
  size_t threads = 1;
  ProgressSink progress = {};
};

// What a training found out about its corpus and its pieces.
struct VocabTraining {
  std::vector<VocabPiece> pieces;  // most probable, or most frequent, first
  size_t alphabet = 0, distinct_characters = 0;
  uint64_t characters = 0, covered_characters = 0;  // occurrences, marks of words included
  uint64_t tokens = 0;                              // of the counted words, by the best paths
  size_t candidates = 0, rounds = 0;
};

// Errors: usage, for no words, or a vocabulary that cannot hold the alphabet.
VocabTraining train_unigram(const std::vector<CorpusWord>& words,
                            const UnigramTrainOptions& options);

}  // namespace akin::text
