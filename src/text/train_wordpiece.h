// Trains a WordPiece vocabulary from counted words: merges of the most frequent pair, as Hugging
// Face's WordPieceTrainer has it (byte-pair encoding of Sennrich et al. 2016, arXiv:1508.07909,
// with "##" before what continues a word), not Google's likelihood score. Not the model that uses
// it (wordpiece.h).
#pragma once

#include "text/train_unigram.h"

namespace akin::text {

struct WordPieceTrainOptions {
  size_t vocab_size = 0;       // pieces, without the special tokens
  double coverage = 1;         // share of the characters that become pieces
  size_t limit_alphabet = 0;   // most characters; 0: no limit
  uint64_t min_frequency = 2;  // of a pair that is merged
  size_t max_piece_characters = 100;
  ProgressSink progress = {};
};

// Pieces: the alphabet, as beginnings and, where it occurs so, as continuations; then the merges in
// order. Ties are won by the pair whose parts came first. One thread. Errors: as train_unigram.
VocabTraining train_wordpiece(const std::vector<CorpusWord>& words,
                              const WordPieceTrainOptions& options);

}  // namespace akin::text
