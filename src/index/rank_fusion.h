// Reciprocal-rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009): lists of answers joined by
// their ranks alone, so that scores of different kinds need not be comparable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace akin::index {

struct Ranked {
  uint32_t item = 0;
  double score = 0;
};

struct FusedHit {
  uint32_t item = 0;
  double score = 0;                     // sum over lists of 1 / (constant + rank), ranks from 1
  std::optional<double> first, second;  // the item's scores in the lists that had it
};

// The k best of two lists, each best first and without repeats. Equal scores: the lower item.
std::vector<FusedHit> fuse_ranks(std::span<const Ranked> first, std::span<const Ranked> second,
                                 size_t k, double constant);

}  // namespace akin::index
