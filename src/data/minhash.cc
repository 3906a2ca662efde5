// See minhash.h.
#include "data/minhash.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/rng.h"
#include "data/fold.h"

namespace akin::data {
namespace {

constexpr uint64_t kSeed = 0x6E656172;

// value = high half of a * x + b mod 2^64: universal for 32-bit x.
struct Functions {
  std::array<uint64_t, kMinHashes> a{}, b{};
  Functions() {
    Rng rng(kSeed);
    for (size_t i = 0; i < kMinHashes; ++i) {
      a[i] = rng.next() | 1;
      b[i] = rng.next();
    }
  }
};

void add_shingle(uint64_t hash, std::array<uint32_t, kMinHashes>& out) {
  static const Functions functions;
  const uint64_t x = hash & 0xFFFFFFFFU;
  for (size_t i = 0; i < kMinHashes; ++i) {
    const auto value = static_cast<uint32_t>((functions.a[i] * x + functions.b[i]) >> 32);
    out[i] = std::min(out[i], value);
  }
}

uint64_t hash_words(const uint64_t* words, size_t count) {
  return hash64({reinterpret_cast<const char*>(words), count * sizeof(uint64_t)}, kSeed);
}

}  // namespace

std::array<uint32_t, kMinHashes> min_hashes(std::string_view text, size_t shingle_words) {
  thread_local std::vector<uint64_t> words;
  words.clear();
  append_word_hashes(text, words);
  std::array<uint32_t, kMinHashes> out;
  out.fill(std::numeric_limits<uint32_t>::max());
  if (words.empty()) {
    thread_local std::string folded;
    folded.clear();
    append_folded(text, folded);
    add_shingle(hash64(folded, kSeed), out);
    return out;
  }
  const size_t run = std::min(shingle_words, words.size());
  for (size_t i = 0; i + run <= words.size(); ++i) add_shingle(hash_words(&words[i], run), out);
  return out;
}

// Bytes of unequal minima agree by chance once in 256.
double estimated_similarity(const char* a, const char* b) {
  size_t equal = 0;
  for (size_t i = 0; i < kMinHashes; ++i) equal += a[i] == b[i] ? 1 : 0;
  constexpr double kChance = 1.0 / 256;
  const double share = static_cast<double>(equal) / kMinHashes;
  return std::max(0.0, (share - kChance) / (1 - kChance));
}

}  // namespace akin::data
