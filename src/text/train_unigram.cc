#include "text/train_unigram.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "text/train_em.h"

namespace akin::text {
namespace {

constexpr size_t kStepsPerRound = 2;
constexpr double kLeastExpected = 0.5;  // pieces expected less often are dropped
constexpr double kSlack = 1.1;          // the last cut is from this many times the size
constexpr size_t kFewCandidates = 8;    // at least so many times the size, even when few are asked

void report(const UnigramTrainOptions& options, size_t round, size_t rounds) {
  check_interrupted();
  if (options.progress) options.progress({"fitting", round, rounds, "rounds"});
}

size_t count_rounds(size_t pieces, size_t wanted, double shrink) {
  if (pieces <= wanted) return 1;
  const double ratio = static_cast<double>(pieces) / static_cast<double>(wanted);
  return 1 + static_cast<size_t>(std::ceil(std::log(ratio) / -std::log(shrink)));
}

size_t fit(UnigramEm& em, size_t wanted, const UnigramTrainOptions& options) {
  const size_t rounds = count_rounds(em.pieces().size(), wanted, options.shrink);
  for (size_t round = 0;; ++round) {
    report(options, std::min(round, rounds), rounds + 1);
    for (size_t step = 0; step < kStepsPerRound; ++step) {
      em.expect();
      em.maximize(UnigramEm::Update::sparse, kLeastExpected);
    }
    const size_t size = em.pieces().size();
    if (size <= wanted) return round + 1;
    em.prune(std::max(wanted, static_cast<size_t>(options.shrink * static_cast<double>(size))));
  }
}

void check_options(const UnigramTrainOptions& options) {
  if (!(options.coverage > 0 && options.coverage <= 1)) {
    throw_error(ErrorKind::usage, "--coverage", "got {}, expected a share above 0 and up to 1",
                options.coverage);
  }
  if (!(options.shrink > 0 && options.shrink < 1)) {
    throw_error(ErrorKind::usage, "shrink", "got {}, expected a share between 0 and 1",
                options.shrink);
  }
  if (options.max_piece_characters == 0 || options.max_piece_ideographs == 0) {
    throw_error(ErrorKind::usage, "--max-piece-chars and --max-piece-ideographs",
                "got 0, expected at least 1");
  }
}

std::vector<VocabPiece> sorted_pieces(const UnigramEm& em, const TrainingCorpus& corpus) {
  std::vector<VocabPiece> out;
  for (const auto& piece : em.pieces()) {
    const std::vector<Symbol> symbols(piece.symbols.begin(), piece.symbols.end());
    // Scores that are floats keep the model that reads them on its faster path.
    out.push_back({corpus.text(symbols), static_cast<double>(static_cast<float>(piece.score))});
  }
  std::sort(out.begin(), out.end(), [](const VocabPiece& a, const VocabPiece& b) {
    return a.score != b.score ? a.score > b.score : a.text < b.text;
  });
  return out;
}

}  // namespace

VocabTraining train_unigram(const std::vector<CorpusWord>& words,
                            const UnigramTrainOptions& options) {
  check_options(options);
  const TrainingCorpus corpus =
      make_training_corpus(words, options.coverage, options.limit_alphabet);
  if (corpus.alphabet.size() > options.vocab_size) {
    throw_error(ErrorKind::usage, "--vocab-size",
                "{} pieces cannot hold the alphabet of {} characters; raise it, or lower "
                "--coverage or --limit-alphabet",
                options.vocab_size, corpus.alphabet.size());
  }
  ThreadPool pool(std::max<size_t>(1, options.threads));
  if (options.progress) options.progress({"looking for candidates", 0, 0, "pieces"});
  SeedLimits limits;
  limits.max_characters = options.max_piece_characters;
  limits.max_ideographs = options.max_piece_ideographs;
  limits.min_count = options.min_frequency;
  limits.most = std::max(options.seed_pieces, kFewCandidates * options.vocab_size);
  const auto seeds = find_seed_pieces(corpus, limits, pool);
  VocabTraining out;
  out.candidates = seeds.size();
  UnigramEm em(corpus, seeds, pool);
  const auto wanted = static_cast<size_t>(kSlack * static_cast<double>(options.vocab_size));
  out.rounds = fit(em, wanted, options);
  em.prune(options.vocab_size);
  for (size_t step = 0; step < kStepsPerRound; ++step) {
    em.expect();
    em.maximize(UnigramEm::Update::sparse, 0);
  }
  out.pieces = sorted_pieces(em, corpus);
  const auto counts = em.best_path_counts();
  out.tokens = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  out.alphabet = corpus.alphabet.size();
  out.distinct_characters = corpus.distinct_characters;
  out.characters = corpus.characters;
  out.covered_characters = corpus.covered_characters;
  report(options, 1, 1);
  return out;
}

}  // namespace akin::text
