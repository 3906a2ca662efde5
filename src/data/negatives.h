// Taking negatives out of a record together with their scores. Internal to data/.
#pragma once

#include <cstddef>
#include <utility>

#include "data/record.h"

namespace akin::data {

// Keeps the negatives for whose number keep(i) holds; returns how many are gone.
template <typename Keep>
size_t keep_negatives(Record& record, const Keep& keep) {
  const size_t count = record.negatives.size();
  const bool scored = record.scores.size() == 1 + count;
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!keep(i)) continue;
    if (scored) record.scores[1 + kept] = record.scores[1 + i];
    if (kept != i) record.negatives[kept] = std::move(record.negatives[i]);
    ++kept;
  }
  record.negatives.resize(kept);
  if (scored) record.scores.resize(1 + kept);
  return count - kept;
}

}  // namespace akin::data
