#include "data/near_sets.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/hash.h"

namespace akin::data {
namespace {

constexpr double kRounding = 1e-9;  // 0.8 * 5 is 4, whatever the last bit says

size_t up(double value) { return static_cast<size_t>(std::ceil(value - kRounding)); }

template <typename T>
void sort_unique(std::vector<T>& out) {
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
}

// Common numbers of two rising lists; gives up, with less than `least`, where that is out of reach.
size_t common(std::span<const uint32_t> a, std::span<const uint32_t> b, size_t least) {
  size_t out = 0, i = 0, k = 0;
  while (i < a.size() && k < b.size()) {
    if (out + std::min(a.size() - i, b.size() - k) < least) return out;
    out += a[i] == b[k] ? 1 : 0;
    const bool first = a[i] <= b[k], second = b[k] <= a[i];
    i += first ? 1 : 0;
    k += second ? 1 : 0;
  }
  return out;
}

}  // namespace

size_t NearSets::prefix(size_t size) const {
  return size - up(similarity_ * static_cast<double>(size)) + 1;
}

size_t NearSets::needed(size_t size, size_t other) const {
  return up(similarity_ / (1 + similarity_) * static_cast<double>(size + other));
}

void NearSets::add(std::span<const uint64_t> words, uint32_t value) {
  std::vector<uint64_t> set(words.begin(), words.end());
  sort_unique(set);
  if (set.size() < kLeastWords || set.size() > kMostWords) return;
  const uint64_t hash =
      hash64({reinterpret_cast<const char*>(set.data()), set.size() * sizeof(uint64_t)});
  if (seen_.find(hash)) return;
  AKIN_CHECK(values_.size() < std::numeric_limits<uint32_t>::max());
  seen_.add(hash, 0);
  for (const uint64_t word : set) {
    auto number = numbers_.find(word);
    if (!number) {
      number = static_cast<uint32_t>(counts_.size());
      numbers_.add(word, *number);
      counts_.push_back(0);
    }
    ++counts_[*number];
    words_.push_back(*number);
  }
  ends_.push_back(words_.size());
  sizes_.push_back(static_cast<uint16_t>(set.size()));
  values_.push_back(value);
}

void NearSets::finish() {
  seen_ = {};
  // Ranks: the rarest word is 0.
  std::vector<uint32_t> order(counts_.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return counts_[a] < counts_[b]; });
  for (size_t rank = 0; rank < order.size(); ++rank) {
    counts_[order[rank]] = static_cast<uint32_t>(rank);
  }
  for (uint32_t& word : words_) word = counts_[word];

  // Small sets first, so that every list of sets rises by size.
  std::vector<uint32_t> by_size(values_.size());
  std::iota(by_size.begin(), by_size.end(), 0U);
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](uint32_t a, uint32_t b) { return sizes_[a] < sizes_[b]; });
  std::vector<uint64_t> ends;
  std::vector<uint16_t> sizes;
  std::vector<uint32_t> values;
  lists_.assign(counts_.size() + 1, 0);
  for (const uint32_t set : by_size) {
    const auto begin = words_.begin() + static_cast<ptrdiff_t>(begin_of(set));
    std::sort(begin, begin + sizes_[set]);
    ends.push_back(ends_[set]);
    sizes.push_back(sizes_[set]);
    values.push_back(values_[set]);
    for (size_t i = 0; i < prefix(sizes_[set]); ++i)
      ++lists_[*(begin + static_cast<ptrdiff_t>(i)) + 1];
  }
  ends_ = std::move(ends);
  sizes_ = std::move(sizes);
  values_ = std::move(values);
  std::partial_sum(lists_.begin(), lists_.end(), lists_.begin());
  sets_.resize(lists_.back());
  std::vector<uint64_t> at(lists_.begin(), lists_.end() - 1);
  for (size_t set = 0; set < sizes_.size(); ++set) {
    for (size_t i = 0; i < prefix(sizes_[set]); ++i) {
      sets_[at[words_[begin_of(set) + i]]++] = static_cast<uint32_t>(set);
    }
  }
}

std::optional<NearSets::Match> NearSets::find(std::span<const uint64_t> words) const {
  if (sizes_.empty() || words.size() < kLeastWords) return std::nullopt;
  thread_local std::vector<uint64_t> set;
  thread_local std::vector<uint32_t> ranks;
  set.assign(words.begin(), words.end());
  sort_unique(set);
  const size_t size = set.size();
  if (size < kLeastWords || size > kMostWords) return std::nullopt;
  // Words that no set has are the rarest of all, and lead to none.
  const size_t rarest = prefix(size);
  size_t unknown = 0;
  ranks.clear();
  for (const uint64_t word : set) {
    if (const auto number = numbers_.find(word)) {
      ranks.push_back(counts_[*number]);
    } else if (++unknown >= rarest) {
      return std::nullopt;
    }
  }
  std::sort(ranks.begin(), ranks.end());
  const size_t least = up(similarity_ * static_cast<double>(size));
  const auto most = static_cast<size_t>(static_cast<double>(size) / similarity_ + kRounding);
  for (size_t i = 0; i < std::min(rarest - unknown, ranks.size()); ++i) {
    const auto begin = sets_.begin() + static_cast<ptrdiff_t>(lists_[ranks[i]]);
    const auto end = sets_.begin() + static_cast<ptrdiff_t>(lists_[ranks[i] + 1]);
    auto it = std::lower_bound(begin, end, least,
                               [&](uint32_t other, size_t n) { return sizes_[other] < n; });
    for (; it != end && sizes_[*it] <= most; ++it) {
      const size_t other = sizes_[*it], enough = needed(size, other);
      const size_t both = common(ranks, {words_.data() + begin_of(*it), other}, enough);
      if (both < enough) continue;
      return Match{values_[*it],
                   static_cast<double>(both) / static_cast<double>(size + other - both)};
    }
  }
  return std::nullopt;
}

}  // namespace akin::data
