#include "mine/term_index.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "data/placed_words.h"

namespace akin::mine {
namespace {

constexpr size_t kBlock = 8192, kChunk = 64;

// A number in a mixed order and back: odd factors have inverses modulo 2^32.
constexpr uint32_t kMix = 0x9E3779B1U;
constexpr uint32_t inverse(uint32_t odd) {
  uint32_t x = odd;
  for (int i = 0; i < 5; ++i) x *= 2U - odd * x;
  return x;
}
constexpr uint32_t kUnmix = inverse(kMix);
static_assert(kMix * kUnmix == 1U);

std::vector<uint64_t> distinct_terms(std::string_view text) {
  const auto terms = data::placed_terms(text, data::placed_words(text));
  std::vector<uint64_t> out;
  out.reserve(terms.size());
  for (const auto& term : terms) out.push_back(term.key);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// The terms by which a text is known.
std::vector<uint64_t> chosen_terms(std::string_view text, const WordWeights& weights) {
  const auto terms = data::placed_terms(text, data::placed_words(text));
  std::vector<uint64_t> out;
  for (size_t i = 0; i < std::min(TermIndex::kTerms, terms.size()); ++i) {
    out.push_back(terms[i].key);
  }
  std::vector<std::pair<uint32_t, uint64_t>> rest;
  for (size_t i = out.size(); i < terms.size(); ++i) {
    const uint32_t level = weights.level(weight_key(terms[i].key));
    rest.emplace_back(std::numeric_limits<uint32_t>::max() - level, terms[i].key);
  }
  std::sort(rest.begin(), rest.end());
  rest.erase(std::unique(rest.begin(), rest.end()), rest.end());
  for (size_t i = 0; i < std::min(TermIndex::kTerms, rest.size()); ++i) {
    out.push_back(rest[i].second);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

template <typename F>
void each_text(const TextFile& texts, std::string_view what, ThreadPool& pool,
               const ProgressSink& progress, const F& f) {
  for (size_t begin = 0; begin < texts.size(); begin += kBlock) {
    check_interrupted();
    if (progress) progress({what, begin, texts.size(), "texts"});
    f(begin, std::min(kBlock, texts.size() - begin), pool);
  }
}

}  // namespace

void count_terms(const TextFile& texts, WordWeights& weights, ThreadPool& pool,
                 const ProgressSink& progress) {
  each_text(
      texts, "counting terms", pool, progress,
      [&](size_t begin, size_t count, ThreadPool& threads) {
        parallel_for(threads, count, kChunk, [&](size_t i, size_t) {
          std::vector<uint32_t> keys;
          for (const uint64_t term : distinct_terms(texts[static_cast<uint32_t>(begin + i)])) {
            keys.push_back(weight_key(term));
          }
          weights.count(keys);
        });
      });
  weights.add_texts(texts.size());
}

TermIndex::TermIndex(const TextFile& texts, const WordWeights& weights, ThreadPool& pool,
                     const ProgressSink& progress)
    : weights_(weights), texts_(texts.size()) {
  each_text(texts, "indexing terms", pool, progress,
            [&](size_t begin, size_t count, ThreadPool& threads) {
              std::vector<std::vector<uint64_t>> found(count);
              parallel_for(threads, count, kChunk, [&](size_t i, size_t) {
                found[i] = chosen_terms(texts[static_cast<uint32_t>(begin + i)], weights);
              });
              for (size_t i = 0; i < count; ++i) {
                const uint32_t number = static_cast<uint32_t>(begin + i) * kMix;
                for (const uint64_t term : found[i]) {
                  entries_.push_back(uint64_t{weight_key(term)} << 32 | number);
                }
              }
            });
  std::sort(entries_.begin(), entries_.end());
}

std::vector<TermHit> TermIndex::find(std::span<const uint64_t> terms, size_t most) const {
  thread_local std::vector<uint16_t> shared;
  thread_local std::vector<uint32_t> touched;
  if (shared.size() < texts_) shared.resize(texts_);
  touched.clear();
  for (const uint64_t term : terms) {
    const uint64_t key = uint64_t{weight_key(term)} << 32;
    const auto weight = static_cast<uint16_t>(weights_.level(weight_key(term)));
    auto it = std::lower_bound(entries_.begin(), entries_.end(), key);
    for (size_t n = 0; n < kMostTexts && it != entries_.end() && (*it ^ key) >> 32 == 0;
         ++n, ++it) {
      const uint32_t text = static_cast<uint32_t>(*it) * kUnmix;
      if (shared[text] == 0) touched.push_back(text);
      shared[text] = static_cast<uint16_t>(std::min(shared[text] + weight, 0xFFFF));
    }
  }
  std::vector<TermHit> out;
  out.reserve(touched.size());
  for (const uint32_t text : touched)
    out.push_back({text, std::exchange(shared[text], uint16_t{0})});
  const auto better = [](const TermHit& a, const TermHit& b) {
    return a.shared != b.shared ? a.shared > b.shared : a.text < b.text;
  };
  const size_t kept = std::min(most, out.size());
  std::partial_sort(out.begin(), out.begin() + static_cast<ptrdiff_t>(kept), out.end(), better);
  out.resize(kept);
  return out;
}

}  // namespace akin::mine
