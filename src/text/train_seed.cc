// Candidates from a suffix array in buckets: positions are sorted by four symbols at a time, only
// as deep as a stretch is frequent, and each shared beginning of a sorted range is a stretch.
// Counts are of occurrences in the corpus, where sentencepiece counts distinct words (Kudo 2018,
// arXiv:1804.10959, section 3.2, names enhanced suffix arrays).
#include <algorithm>
#include <mutex>

#include "base/progress.h"
#include "text/train_corpus.h"
#include "text/train_script.h"

namespace akin::text {
namespace {

constexpr size_t kKeySymbols = 4;

struct Suffix {
  uint64_t key;  // the next four symbols, the first in the highest bits
  uint32_t position, word;
};

class SeedSearch {
 public:
  SeedSearch(const TrainingCorpus& corpus, size_t max_characters, uint64_t min_count)
      : corpus_(corpus), max_characters_(max_characters), min_count_(min_count) {}

  // Sorts suffixes that share their first `depth` symbols, and looks for stretches among them.
  void refine(std::span<Suffix> suffixes, size_t depth, std::vector<SeedPiece>& out) const {
    for (Suffix& suffix : suffixes) suffix.key = key_at(suffix.position + depth);
    std::sort(suffixes.begin(), suffixes.end(), [](const Suffix& a, const Suffix& b) {
      return a.key != b.key ? a.key < b.key : a.position < b.position;
    });
    descend(suffixes, depth, 0, out);
  }

 private:
  uint64_t key_at(size_t position) const {
    uint64_t key = 0;
    bool ended = false;
    for (size_t i = 0; i < kKeySymbols; ++i) {
      const Symbol symbol =
          ended || position + i >= corpus_.symbols.size() ? 0 : corpus_.symbols[position + i];
      ended |= symbol == 0;
      key = key << 16 | symbol;
    }
    return key;
  }

  // The suffixes share depth + level symbols, `level` of them in their keys.
  void descend(std::span<Suffix> suffixes, size_t depth, size_t level,
               std::vector<SeedPiece>& out) const {
    const size_t length = depth + level;
    if (level == kKeySymbols && length < max_characters_)
      return refine(suffixes, depth + level, out);
    if (length == max_characters_) return emit(suffixes, length, out);
    const auto shift = static_cast<unsigned>(16 * (kKeySymbols - 1 - level));
    const auto symbol = [&](const Suffix& suffix) { return suffix.key >> shift & 0xFFFF; };
    // Behind the stretch always the same symbol: the longer one says it all.
    const bool right_maximal =
        symbol(suffixes.front()) == 0 || symbol(suffixes.front()) != symbol(suffixes.back());
    if (right_maximal && length >= 2) emit(suffixes, length, out);
    for (size_t i = 0; i < suffixes.size();) {
      const uint64_t first = symbol(suffixes[i]);
      uint64_t count = 0;
      size_t end = i;
      for (; end < suffixes.size() && symbol(suffixes[end]) == first; ++end) {
        count += corpus_.counts[suffixes[end].word];
      }
      if (first != 0 && count >= min_count_) {
        descend(suffixes.subspan(i, end - i), depth, level + 1, out);
      }
      i = end;
    }
  }

  void emit(std::span<const Suffix> suffixes, size_t length, std::vector<SeedPiece>& out) const {
    const auto before = [&](const Suffix& suffix) {
      return suffix.position == 0 ? Symbol{0} : corpus_.symbols[suffix.position - 1];
    };
    const Symbol first = before(suffixes.front());
    bool left_maximal = first == 0;
    uint64_t count = 0;
    for (const Suffix& suffix : suffixes) {
      left_maximal = left_maximal || before(suffix) != first;
      count += corpus_.counts[suffix.word];
    }
    if (!left_maximal || count < min_count_) return;
    const Symbol* const at = corpus_.symbols.data() + suffixes.front().position;
    out.push_back({std::u16string(at, at + length), count});
  }

  const TrainingCorpus& corpus_;
  size_t max_characters_;
  uint64_t min_count_;
};

// All positions, by their first symbol: bucket s is [begins[s - 1], begins[s]).
std::vector<Suffix> bucket_suffixes(const TrainingCorpus& corpus, std::vector<size_t>& begins) {
  begins.assign(corpus.alphabet.size() + 2, 0);
  for (const Symbol symbol : corpus.symbols) {
    if (symbol != 0) ++begins[symbol + 1U];
  }
  for (size_t s = 1; s < begins.size(); ++s) begins[s] += begins[s - 1];
  std::vector<Suffix> suffixes(begins.back());
  std::vector<size_t> next(begins);
  for (size_t w = 0; w < corpus.size(); ++w) {
    for (uint32_t i = corpus.begin[w]; i + 1 < corpus.begin[w + 1]; ++i) {
      suffixes[next[corpus.symbols[i]]++] = {0, i, static_cast<uint32_t>(w)};
    }
  }
  return suffixes;
}

// By count times length, then by the symbols themselves.
bool better(const SeedPiece& a, const SeedPiece& b) {
  const uint64_t x = a.count * a.symbols.size(), y = b.count * b.symbols.size();
  return x != y ? x > y : a.symbols < b.symbols;
}

void keep_best(std::vector<SeedPiece>& seeds, size_t most) {
  if (seeds.size() <= most) return;
  std::nth_element(seeds.begin(), seeds.begin() + static_cast<ptrdiff_t>(most), seeds.end(),
                   better);
  seeds.resize(most);
}

}  // namespace

std::vector<SeedPiece> find_seed_pieces(const TrainingCorpus& corpus, const SeedLimits& limits,
                                        ThreadPool& pool) {
  const size_t most = limits.most;
  std::vector<size_t> begins;
  std::vector<Suffix> suffixes = bucket_suffixes(corpus, begins);
  std::vector<SeedPiece> seeds;
  std::mutex mutex;
  parallel_for(pool, corpus.alphabet.size(), 1, [&](size_t i, size_t) {
    check_interrupted();
    const std::span<Suffix> bucket(suffixes.data() + begins[i + 1], begins[i + 2] - begins[i + 1]);
    std::vector<SeedPiece> found;
    // A piece is of one kind, so its first character tells.
    const CharacterKind kind = character_kind(corpus.alphabet[i], kSign);
    const size_t longest =
        kind == kHan || kind == kKana ? limits.max_ideographs : limits.max_characters;
    const SeedSearch search(corpus, longest, std::max<uint64_t>(limits.min_count, 1));
    if (!bucket.empty()) search.refine(bucket, 0, found);
    keep_best(found, most);
    const std::lock_guard lock(mutex);
    std::move(found.begin(), found.end(), std::back_inserter(seeds));
    if (seeds.size() > 4 * most) keep_best(seeds, most);
  });
  const size_t characters = corpus.alphabet.size();
  keep_best(seeds, most > characters ? most - characters : 0);
  std::sort(seeds.begin(), seeds.end(), better);
  std::vector<SeedPiece> out;
  out.reserve(characters + seeds.size());
  for (size_t i = 0; i < characters; ++i) {
    out.push_back({std::u16string(1, static_cast<char16_t>(i + 1)), corpus.alphabet_counts[i]});
  }
  std::move(seeds.begin(), seeds.end(), std::back_inserter(out));
  return out;
}

}  // namespace akin::text
