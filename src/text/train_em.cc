#include "text/train_em.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/progress.h"

namespace akin::text {
namespace {

constexpr double kUnit = 1 << 24;  // expected counts are summed in integers of 1 / kUnit
constexpr size_t kBlockWords = 1024;
constexpr uint32_t kNoPiece = 0xFFFFFFFF;
constexpr double kLeastCount = 0.5;  // of a character, however seldom expected
constexpr double kNoPath = -std::numeric_limits<double>::infinity();

}  // namespace

// Scratch of a thread: the occurrences of pieces in one word, by where they begin.
struct UnigramEm::Lattice {
  struct Edge {
    uint32_t from, to, piece;
  };
  std::vector<uint32_t> codes;
  std::vector<Edge> edges;
  std::vector<double> forward, backward;
  std::vector<uint32_t> last;   // best path: the edge that ends at a position
  std::vector<uint32_t> taken;  // best path: its pieces, from the end
};

double digamma(double x) {
  double shift = 0;
  for (; x < 10; x += 1) shift -= 1 / x;
  const double s = 1 / (x * x);
  return shift + std::log(x) - 0.5 / x -
         s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * (1.0 / 132)))));
}

UnigramEm::UnigramEm(const TrainingCorpus& corpus, const std::vector<SeedPiece>& seeds,
                     ThreadPool& pool)
    : corpus_(corpus), pool_(pool) {
  double total = 0;
  for (const SeedPiece& seed : seeds) {
    total += static_cast<double>(seed.count) * static_cast<double>(seed.symbols.size());
  }
  for (const SeedPiece& seed : seeds) {
    const double share =
        static_cast<double>(seed.count) * static_cast<double>(seed.symbols.size()) / total;
    pieces_.push_back({seed.symbols, std::log(share)});
  }
  rebuild();
}

void UnigramEm::rebuild() {
  std::vector<std::string> texts;
  std::vector<double> scores;
  texts.reserve(pieces_.size());
  for (const Piece& piece : pieces_) {
    const std::vector<Symbol> symbols(piece.symbols.begin(), piece.symbols.end());
    texts.push_back(corpus_.text(symbols));
    scores.push_back(piece.score);
  }
  trie_ = UnigramTrie({texts.begin(), texts.end()}, scores, "training");
  codes_.assign(corpus_.alphabet.size() + 1, 0);
  for (size_t i = 0; i < corpus_.alphabet.size(); ++i) {
    codes_[i + 1] = trie_.code(static_cast<uint32_t>(corpus_.alphabet[i]));
  }
}

void UnigramEm::scan(std::span<const Symbol> word, Lattice& lattice) const {
  const size_t size = word.size();
  lattice.codes.resize(size + 1);
  for (size_t i = 0; i < size; ++i) lattice.codes[i] = codes_[word[i]];
  lattice.codes[size] = 0;
  lattice.edges.clear();
  const UnigramTrie::Node* const nodes = trie_.nodes();
  for (size_t i = 0; i < size; ++i) {
    uint32_t at = UnigramTrie::kRoot;
    for (size_t j = i; j < size; ++j) {
      const uint32_t next = nodes[at].base ^ lattice.codes[j];
      if (nodes[next].parent != at) break;
      at = next;
      const uint32_t id = nodes[at].id;
      if (id == UnigramTrie::kNone) continue;
      lattice.edges.push_back({static_cast<uint32_t>(i), static_cast<uint32_t>(j + 1), id});
    }
  }
}

// Forward and backward over probabilities that are tilted by a constant for each character. A word
// so unlike the rest that this over- or underflows is taken as two halves.
double UnigramEm::expect_word(std::span<const Symbol> word, double count, Lattice& lattice,
                              std::vector<int64_t>& sums) const {
  const size_t size = word.size();
  scan(word, lattice);
  lattice.forward.assign(size + 1, 0);
  lattice.forward[0] = 1;
  for (const auto& edge : lattice.edges) {
    lattice.forward[edge.to] += lattice.forward[edge.from] * tilted_[edge.piece];
  }
  const double all = lattice.forward[size];
  if (!(all > 1e-280 && all < 1e280) && size > 1) {
    return expect_word(word.first(size / 2), count, lattice, sums) +
           expect_word(word.subspan(size / 2), count, lattice, sums);
  }
  lattice.backward.assign(size + 1, 0);
  lattice.backward[size] = 1;
  const double share = count * kUnit / all;
  for (auto edge = lattice.edges.rbegin(); edge != lattice.edges.rend(); ++edge) {
    const double behind = tilted_[edge->piece] * lattice.backward[edge->to];
    lattice.backward[edge->from] += behind;
    // Never below 0; lround would be a call in the innermost loop.
    // NOLINTNEXTLINE(bugprone-incorrect-roundings)
    sums[edge->piece] += static_cast<int64_t>(lattice.forward[edge->from] * behind * share + 0.5);
  }
  return count * (std::log(all) - tilt_ * static_cast<double>(size));
}

UnigramEm::Expectation UnigramEm::expect() {
  tilted_.resize(pieces_.size());
  for (size_t i = 0; i < pieces_.size(); ++i) {
    tilted_[i] =
        std::exp(pieces_[i].score + tilt_ * static_cast<double>(pieces_[i].symbols.size()));
  }
  const size_t blocks = (corpus_.size() + kBlockWords - 1) / kBlockWords;
  std::vector<double> likelihoods(blocks);
  std::vector<std::vector<int64_t>> sums(pool_.size(), std::vector<int64_t>(pieces_.size()));
  std::vector<Lattice> lattices(pool_.size());
  parallel_for(pool_, blocks, 1, [&](size_t block, size_t thread) {
    check_interrupted();
    const size_t end = std::min(corpus_.size(), (block + 1) * kBlockWords);
    for (size_t w = block * kBlockWords; w < end; ++w) {
      likelihoods[block] += expect_word(corpus_.word(w), static_cast<double>(corpus_.counts[w]),
                                        lattices[thread], sums[thread]);
    }
  });
  Expectation out;
  expected_.assign(pieces_.size(), 0);
  for (size_t i = 0; i < pieces_.size(); ++i) {
    int64_t sum = 0;
    for (const auto& part : sums) sum += part[i];
    expected_[i] = static_cast<double>(sum) / kUnit;
    out.tokens += expected_[i];
  }
  out.log_likelihood = std::accumulate(likelihoods.begin(), likelihoods.end(), 0.0);
  tilt_ =
      -out.log_likelihood / static_cast<double>(std::max<uint64_t>(1, corpus_.covered_characters));
  return out;
}

void UnigramEm::maximize(Update update, double least) {
  const size_t characters = corpus_.alphabet.size();
  std::vector<uint8_t> kept(pieces_.size(), 1);
  const bool plain = update == Update::plain;
  const double floor = plain ? 1 / kUnit : kLeastCount;
  double total = 0;
  for (size_t i = 0; i < pieces_.size(); ++i) {
    const bool stays = i < characters || least == 0;
    if (stays) expected_[i] = std::max(expected_[i], floor);
    kept[i] = stays || expected_[i] >= least ? 1 : 0;
    if (kept[i] != 0) total += expected_[i];
  }
  const double norm = plain ? std::log(total) : digamma(total);
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (kept[i] == 0) continue;
    pieces_[i].score = (plain ? std::log(expected_[i]) : digamma(expected_[i])) - norm;
  }
  keep_only(kept);
}

void UnigramEm::keep_only(const std::vector<uint8_t>& kept) {
  size_t count = 0;
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (kept[i] == 0) continue;
    if (count != i) pieces_[count] = std::move(pieces_[i]);
    ++count;
  }
  if (count == pieces_.size()) return;
  pieces_.resize(count);
  rebuild();
}

// Fills lattice.taken and returns the score. `without`: a piece that may not be taken.
double UnigramEm::best_path(std::span<const Symbol> word, uint32_t without,
                            Lattice& lattice) const {
  scan(word, lattice);
  lattice.forward.assign(word.size() + 1, kNoPath);
  lattice.last.assign(word.size() + 1, 0);
  lattice.forward[0] = 0;
  for (size_t e = 0; e < lattice.edges.size(); ++e) {
    const auto& edge = lattice.edges[e];
    if (edge.piece == without) continue;
    const double score = lattice.forward[edge.from] + pieces_[edge.piece].score;
    if (score <= lattice.forward[edge.to]) continue;
    lattice.forward[edge.to] = score;
    lattice.last[edge.to] = static_cast<uint32_t>(e);
  }
  lattice.taken.clear();
  for (size_t at = word.size(); at > 0;) {
    const auto& edge = lattice.edges[lattice.last[at]];
    lattice.taken.push_back(edge.piece);
    at = edge.from;
  }
  return lattice.forward[word.size()];
}

std::vector<uint64_t> UnigramEm::best_path_counts() {
  const size_t blocks = (corpus_.size() + kBlockWords - 1) / kBlockWords;
  std::vector<std::vector<uint64_t>> counts(pool_.size(), std::vector<uint64_t>(pieces_.size()));
  std::vector<Lattice> lattices(pool_.size());
  parallel_for(pool_, blocks, 1, [&](size_t block, size_t thread) {
    check_interrupted();
    const size_t end = std::min(corpus_.size(), (block + 1) * kBlockWords);
    for (size_t w = block * kBlockWords; w < end; ++w) {
      best_path(corpus_.word(w), kNoPiece, lattices[thread]);
      for (const uint32_t piece : lattices[thread].taken)
        counts[thread][piece] += corpus_.counts[w];
    }
  });
  for (size_t t = 1; t < counts.size(); ++t) {
    for (size_t i = 0; i < pieces_.size(); ++i) counts[0][i] += counts[t][i];
  }
  return std::move(counts[0]);
}

// What the likelihood of the best paths loses, a token, when the next best path of the piece stands
// for it everywhere; negative when nothing is lost.
double UnigramEm::loss(size_t i, const std::vector<uint64_t>& counts, double total,
                       Lattice& lattice) const {
  const auto count = static_cast<double>(counts[i]);
  if (count == 0) return -1;
  const std::vector<Symbol> symbols(pieces_[i].symbols.begin(), pieces_[i].symbols.end());
  if (best_path(symbols, static_cast<uint32_t>(i), lattice) >= pieces_[i].score) return -1;
  const double others = std::log(total + count * (static_cast<double>(lattice.taken.size()) - 1));
  double instead = 0;
  for (const uint32_t piece : lattice.taken) {
    instead += std::log(static_cast<double>(counts[piece]) + count) - others;
  }
  return std::max(0.0, count / total * (std::log(count) - std::log(total) - instead));
}

void UnigramEm::prune(size_t keep) {
  const size_t characters = corpus_.alphabet.size();
  if (pieces_.size() <= keep) return;
  const std::vector<uint64_t> counts = best_path_counts();
  const double total =
      static_cast<double>(std::accumulate(counts.begin(), counts.end(), uint64_t{0}));
  std::vector<double> losses(pieces_.size());
  std::vector<Lattice> lattices(pool_.size());
  parallel_for(pool_, pieces_.size(), kBlockWords, [&](size_t i, size_t thread) {
    if (i >= characters) losses[i] = loss(i, counts, total, lattices[thread]);
  });
  std::vector<uint32_t> order(pieces_.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin() + static_cast<ptrdiff_t>(characters), order.end(),
                   [&](uint32_t a, uint32_t b) { return losses[a] > losses[b]; });
  std::vector<uint8_t> kept(pieces_.size(), 0);
  for (size_t r = 0; r < order.size(); ++r) {
    kept[order[r]] = r < std::max(keep, characters) ? 1 : 0;
  }
  keep_only(kept);
}

}  // namespace akin::text
