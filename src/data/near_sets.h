// Texts as sets of words, and which of many a further one is nearly equal to: exact Jaccard
// similarity, no estimate. For the contamination filter, whose texts fit in memory; records among
// each other, which need not, are filters/near.cc. Internal to data/.
//
// How: two sets of similarity t or more share a word among the rarest (1 - t) of each, so only
// those are indexed and looked up, and the sizes bound who may match at all.
// Source  prefix filter: Chaudhuri, Ganti, Kaushik, ICDE 2006; Bayardo, Ma, Srikant, WWW 2007.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/hash_map.h"

namespace akin::data {

// First add() all, then finish(), then find() from any thread.
class NearSets {
 public:
  // Sets with fewer or more different words than these match nothing: of few words one more is
  // another text, and of many every copy shares runs of words.
  static constexpr size_t kLeastWords = 5, kMostWords = 1000;

  // similarity in (0, 1].
  explicit NearSets(double similarity) : similarity_(similarity) {}

  // Words as hashes, in any order, also repeated. A set that is there already is not kept again.
  void add(std::span<const uint64_t> words, uint32_t value);
  void finish();

  struct Match {
    uint32_t value = 0;
    double similarity = 0;
  };
  std::optional<Match> find(std::span<const uint64_t> words) const;
  size_t size() const { return values_.size(); }

 private:
  size_t begin_of(size_t set) const { return ends_[set] - sizes_[set]; }
  size_t prefix(size_t size) const;                // rarest words of a set that are indexed
  size_t needed(size_t size, size_t other) const;  // common words that make two sets similar

  const double similarity_;
  HashMap numbers_;               // of words
  HashMap seen_;                  // hashes of whole sets
  std::vector<uint32_t> counts_;  // by word: sets that have it; after finish(): its rank
  std::vector<uint32_t> words_;   // of all sets; after finish() ranks, rarest first
  std::vector<uint64_t> ends_;    // by set, in words_
  std::vector<uint16_t> sizes_;   // by set; rising after finish()
  std::vector<uint32_t> values_;  // by set
  std::vector<uint64_t> lists_;   // by rank, where its sets begin in sets_; one more at the end
  std::vector<uint32_t> sets_;
};

}  // namespace akin::data
