#include "text/train_wordpiece.h"

#include <algorithm>
#include <queue>
#include <unordered_map>

#include "base/error.h"
#include "text/train_corpus.h"

namespace akin::text {
namespace {

constexpr std::string_view kPrefix = "##";
constexpr size_t kMaxPieces = 0xFFFFFF;
constexpr uint64_t kCheckEvery = 256;  // merges between looks at the interrupt flag

uint64_t pair_key(uint32_t a, uint32_t b) { return static_cast<uint64_t>(a) << 32 | b; }

struct Candidate {
  uint64_t count;
  uint64_t pair;
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

// Words as sequences of pieces, the counts of adjacent pairs, and the words where a pair may be.
class Merger {
 public:
  Merger(const TrainingCorpus& corpus, const WordPieceTrainOptions& options);
  void run();
  std::vector<VocabPiece> take_pieces() { return std::move(pieces_); }
  uint64_t tokens() const;

 private:
  struct Pair {
    int64_t count = 0;
    std::vector<uint32_t> words;
  };
  uint32_t add_piece(std::string text, size_t characters);
  std::string joined(uint32_t a, uint32_t b) const;
  void change(uint32_t a, uint32_t b, int64_t by, uint32_t word);
  void merge(uint64_t pair, uint32_t piece);
  void merge_in_word(uint32_t word, uint32_t a, uint32_t b, uint32_t piece);

  const TrainingCorpus& corpus_;
  const WordPieceTrainOptions& options_;
  std::vector<VocabPiece> pieces_;
  std::vector<size_t> characters_;  // of each piece
  std::unordered_map<std::string, uint32_t> ids_;
  std::vector<std::vector<uint32_t>> words_;
  std::unordered_map<uint64_t, Pair> pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<uint64_t> touched_;
};

Merger::Merger(const TrainingCorpus& corpus, const WordPieceTrainOptions& options)
    : corpus_(corpus), options_(options) {
  const size_t characters = corpus.alphabet.size();
  std::vector<uint8_t> continues(characters + 1, 0);
  for (size_t w = 0; w < corpus.size(); ++w) {
    const auto word = corpus.word(w);
    for (size_t i = 1; i < word.size(); ++i) continues[word[i]] = 1;
  }
  std::vector<uint32_t> first(characters + 1), later(characters + 1);
  for (size_t s = 1; s <= characters; ++s) {
    const Symbol symbol = static_cast<Symbol>(s);
    first[s] = add_piece(corpus.text({&symbol, 1}), 1);
  }
  for (size_t s = 1; s <= characters; ++s) {
    const Symbol symbol = static_cast<Symbol>(s);
    if (continues[s] != 0)
      later[s] = add_piece(std::string(kPrefix) + corpus.text({&symbol, 1}), 1);
  }
  if (pieces_.size() > options.vocab_size) {
    throw_error(ErrorKind::usage, "--vocab-size",
                "{} pieces cannot hold the alphabet, which takes {}; raise it, or lower --coverage "
                "or --limit-alphabet",
                options.vocab_size, pieces_.size());
  }
  words_.resize(corpus.size());
  for (size_t w = 0; w < corpus.size(); ++w) {
    const auto word = corpus.word(w);
    for (size_t i = 0; i < word.size(); ++i) {
      words_[w].push_back(i == 0 ? first[word[i]] : later[word[i]]);
      if (i > 0) {
        change(words_[w][i - 1], words_[w][i], static_cast<int64_t>(corpus.counts[w]),
               static_cast<uint32_t>(w));
      }
    }
  }
}

uint32_t Merger::add_piece(std::string text, size_t characters) {
  const auto [at, added] = ids_.emplace(text, static_cast<uint32_t>(pieces_.size()));
  if (added) {
    pieces_.push_back({std::move(text), 0});
    characters_.push_back(characters);
  }
  return at->second;
}

std::string Merger::joined(uint32_t a, uint32_t b) const {
  return pieces_[a].text + pieces_[b].text.substr(kPrefix.size());
}

void Merger::change(uint32_t a, uint32_t b, int64_t by, uint32_t word) {
  const uint64_t key = pair_key(a, b);
  Pair& pair = pairs_[key];
  pair.count += by;
  if (by > 0 && (pair.words.empty() || pair.words.back() != word)) pair.words.push_back(word);
  touched_.push_back(key);
}

void Merger::merge_in_word(uint32_t word, uint32_t a, uint32_t b, uint32_t piece) {
  auto& parts = words_[word];
  const auto count = static_cast<int64_t>(corpus_.counts[word]);
  const auto has_pair = [&] {
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      if (parts[i] == a && parts[i + 1] == b) return true;
    }
    return false;
  };
  if (!has_pair()) return;
  for (size_t i = 0; i + 1 < parts.size(); ++i) change(parts[i], parts[i + 1], -count, word);
  size_t out = 0;
  for (size_t i = 0; i < parts.size(); ++i, ++out) {
    const bool here = i + 1 < parts.size() && parts[i] == a && parts[i + 1] == b;
    parts[out] = here ? piece : parts[i];
    if (here) ++i;
  }
  parts.resize(out);
  for (size_t i = 0; i + 1 < parts.size(); ++i) change(parts[i], parts[i + 1], count, word);
}

void Merger::merge(uint64_t pair, uint32_t piece) {
  const auto a = static_cast<uint32_t>(pair >> 32), b = static_cast<uint32_t>(pair);
  const auto words = std::move(pairs_[pair].words);
  touched_.clear();
  for (const uint32_t word : words) merge_in_word(word, a, b, piece);
  pairs_.erase(pair);
  std::sort(touched_.begin(), touched_.end());
  touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
  for (const uint64_t key : touched_) {
    const auto at = pairs_.find(key);
    if (at == pairs_.end()) continue;
    if (at->second.count > 0) {
      queue_.push({static_cast<uint64_t>(at->second.count), key});
    } else {
      pairs_.erase(at);
    }
  }
}

void Merger::run() {
  for (const auto& [key, pair] : pairs_) queue_.push({static_cast<uint64_t>(pair.count), key});
  for (uint64_t merges = 0; pieces_.size() < options_.vocab_size && !queue_.empty();) {
    const Candidate best = queue_.top();
    queue_.pop();
    const auto at = pairs_.find(best.pair);
    // Counts change after they were queued; the current one was queued too.
    if (at == pairs_.end() || static_cast<uint64_t>(at->second.count) != best.count) continue;
    if (best.count < options_.min_frequency) break;
    const auto a = static_cast<uint32_t>(best.pair >> 32), b = static_cast<uint32_t>(best.pair);
    const size_t characters = characters_[a] + characters_[b];
    if (characters > options_.max_piece_characters) continue;
    merge(best.pair, add_piece(joined(a, b), characters));
    if (++merges % kCheckEvery != 0) continue;
    check_interrupted();
    if (options_.progress) {
      options_.progress({"merging", pieces_.size(), options_.vocab_size, "pieces"});
    }
  }
}

uint64_t Merger::tokens() const {
  uint64_t total = 0;
  for (size_t w = 0; w < words_.size(); ++w) total += words_[w].size() * corpus_.counts[w];
  return total;
}

}  // namespace

VocabTraining train_wordpiece(const std::vector<CorpusWord>& words,
                              const WordPieceTrainOptions& options) {
  if (!(options.coverage > 0 && options.coverage <= 1)) {
    throw_error(ErrorKind::usage, "--coverage", "got {}, expected a share above 0 and up to 1",
                options.coverage);
  }
  if (options.vocab_size > kMaxPieces) {
    throw_error(ErrorKind::usage, "--vocab-size", "got {}, expected at most {}", options.vocab_size,
                kMaxPieces);
  }
  const TrainingCorpus corpus =
      make_training_corpus(words, options.coverage, options.limit_alphabet);
  Merger merger(corpus, options);
  merger.run();
  VocabTraining out;
  out.tokens = merger.tokens();
  out.pieces = merger.take_pieces();
  out.alphabet = corpus.alphabet.size();
  out.distinct_characters = corpus.distinct_characters;
  out.characters = corpus.characters;
  out.covered_characters = corpus.covered_characters;
  return out;
}

}  // namespace akin::text
