#include "mine/words.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "base/error.h"
#include "data/fold.h"

namespace akin::mine {
namespace {

constexpr uint32_t kLevelBits = 4, kMostLevel = 15;
constexpr size_t kBlock = 8192;  // texts between two looks at the clock

// Weights: of what two sets share, and of each.
struct Shared {
  uint64_t both = 0, a = 0, b = 0;
};

Shared compare(std::span<const uint32_t> a, std::span<const uint32_t> b) {
  Shared out;
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    const uint32_t x = a[i], y = b[j];
    out.both += x == y ? x & kMostLevel : 0;
    out.a += x <= y ? x & kMostLevel : 0;
    out.b += y <= x ? y & kMostLevel : 0;
    i += x <= y ? 1 : 0;
    j += y <= x ? 1 : 0;
  }
  for (; i < a.size(); ++i) out.a += a[i] & kMostLevel;
  for (; j < b.size(); ++j) out.b += b[j] & kMostLevel;
  return out;
}

void hash_words(std::string_view text, std::vector<uint64_t>& out) {
  out.clear();
  data::append_word_hashes(text, out);
}
uint32_t word_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 32) & ~kMostLevel; }

void make_set(std::vector<uint32_t>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

// The number of words, the words, the pairs.
std::string packed(const OwnedWordSet& set) {
  const auto count = static_cast<uint32_t>(set.words.size());
  std::string out((1 + set.words.size() + set.pairs.size()) * sizeof(uint32_t), '\0');
  char* at = out.data();
  const auto put = [&](const void* data, size_t bytes) {
    if (bytes > 0) std::memcpy(at, data, bytes);
    at += bytes;
  };
  put(&count, sizeof count);
  put(set.words.data(), set.words.size() * sizeof(uint32_t));
  put(set.pairs.data(), set.pairs.size() * sizeof(uint32_t));
  return out;
}

}  // namespace

void WordWeights::count(std::span<const uint32_t> words) {
  for (const uint32_t word : words) {
    counts_[(word >> kLevelBits) % kPlaces].fetch_add(1, std::memory_order_relaxed);
  }
}

uint32_t WordWeights::level(uint32_t word) const {
  const uint32_t count = counts_[(word >> kLevelBits) % kPlaces].load(std::memory_order_relaxed);
  const uint64_t ratio = texts_ / std::max<uint32_t>(count, 1);
  return std::clamp<uint32_t>(static_cast<uint32_t>(std::bit_width(ratio)), 1, kMostLevel);
}

OwnedWordSet::OwnedWordSet(std::string_view text, const WordWeights& weights) {
  thread_local std::vector<uint64_t> hashes;
  hash_words(text, hashes);
  uint32_t last_level = 0;
  for (size_t i = 0; i < hashes.size(); ++i) {
    const uint32_t word = word_of(hashes[i]), level = weights.level(word);
    words.push_back(word | level);
    if (i > 0) {
      const uint64_t pair = hashes[i - 1] * 0x9E3779B97F4A7C15ULL + hashes[i];
      pairs.push_back(word_of(pair * 0xD6E8FEB86659FD93ULL) | ((last_level + level + 1) / 2));
    }
    last_level = level;
  }
  make_set(words);
  make_set(pairs);
}

double word_similarity(const WordSet& a, const WordSet& b) {
  const Shared found = compare(a.words, b.words);
  if (found.both == 0) return 0;
  return static_cast<double>(found.both) / static_cast<double>(found.a + found.b - found.both);
}

double pair_overlap(const WordSet& a, const WordSet& b) {
  if (std::min(a.pairs.size(), b.pairs.size()) < kLeastPairs) return 0;
  const Shared found = compare(a.pairs, b.pairs);
  return static_cast<double>(found.both) / static_cast<double>(std::min(found.a, found.b));
}

namespace {

// Calls f(text, its number) for all texts of a block at once, then after(count).
template <typename F, typename After>
void each_block(const TextFile& texts, std::string_view what, ThreadPool& pool,
                const ProgressSink& progress, const F& f, const After& after) {
  constexpr size_t kChunk = 64;
  for (size_t begin = 0; begin < texts.size(); begin += kBlock) {
    check_interrupted();
    if (progress) progress({what, begin, texts.size(), "texts"});
    const size_t count = std::min(kBlock, texts.size() - begin);
    parallel_for(pool, count, kChunk,
                 [&](size_t i, size_t) { f(texts[static_cast<uint32_t>(begin + i)], i); });
    after(count);
  }
}

}  // namespace

void count_words(const TextFile& texts, WordWeights& weights, ThreadPool& pool,
                 const ProgressSink& progress) {
  const auto count = [&](std::string_view text, size_t) {
    thread_local std::vector<uint64_t> hashes;
    thread_local std::vector<uint32_t> words;
    hash_words(text, hashes);
    words.clear();
    for (const uint64_t hash : hashes) words.push_back(word_of(hash));
    make_set(words);
    weights.count(words);
  };
  each_block(texts, "counting words", pool, progress, count, [](size_t) {});
  weights.add_texts(texts.size());
}

WordSets::WordSets(const TextFile& texts, const WordWeights& weights,
                   const std::filesystem::path& path, ThreadPool& pool,
                   const ProgressSink& progress)
    : sets_(path) {
  std::vector<std::string> block(kBlock);
  each_block(
      texts, "reading words", pool, progress,
      [&](std::string_view text, size_t i) { block[i] = packed(OwnedWordSet(text, weights)); },
      [&](size_t count) {
        for (size_t i = 0; i < count; ++i) sets_.add(block[i]);
      });
  sets_.close();
}

// Every entry is a whole number of words, so all are aligned.
WordSet WordSets::operator[](uint32_t number) const {
  const std::string_view bytes = sets_[number];
  const auto* const values = reinterpret_cast<const uint32_t*>(bytes.data());
  const size_t all = bytes.size() / sizeof(uint32_t);
  AKIN_CHECK(all >= 1 && values[0] < all);
  return {{values + 1, values[0]}, {values + 1 + values[0], all - 1 - values[0]}};
}

}  // namespace akin::mine
