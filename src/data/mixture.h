// Which records make the next batch: every batch from exactly one source, a source drawn with
// probability proportional to weight * min(size, cap)^alpha (Jina Embeddings v1 as methods describe
// it). Deterministic; its whole state is a few numbers, so a run resumes at any batch. Reads no
// tokens (loader.h does).
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/record_store.h"

namespace akin::data {

struct MixtureSource {
  std::string name;
  std::shared_ptr<const RecordStore> store;  // shared with the loader's workers
  double weight = 1;
  size_t batch = 0;      // rows of a batch of this source
  bool distinct = true;  // no text of a record is the query or positive of another of its batch
  size_t negatives = 0;  // of each row: sampled when there are more, repeated when fewer
};

struct MixtureOptions {
  double alpha = 1;  // in [0, 1]
  uint64_t cap = 0;  // 0: no cap
  uint64_t seed = 1;
};

struct DrawnBatch {
  uint64_t number = 0;  // 0, 1, 2, ...
  size_t source = 0;
  std::vector<uint64_t> records;  // numbers in the source's store
  uint64_t seed = 0;              // for what is random within the batch (negatives)
  nlohmann::json state_after;     // the mixture's state behind this batch
};

// A record that would meet one of its texts in the batch is put aside and comes first in a later
// batch of its source. At most kAside batches of them wait; where more want to (half of all answers
// are "yes"), the rest is left out until the next epoch and counted. One thread at a time.
class Mixture {
 public:
  static constexpr size_t kAside = 4;
  // Errors: usage (no sources, a batch of 0 rows, weights that are not positive, a source smaller
  // than its batch with distinct records, records without the negatives that are asked for).
  Mixture(std::vector<MixtureSource> sources, MixtureOptions options);
  ~Mixture();
  // Never ends: epochs follow one another, each in an order of its own. Errors: usage (a source has
  // too few distinct records to fill a batch).
  DrawnBatch next();
  // Goes on behind the batch whose state this is. Errors: bad_format, usage (of other sources).
  void restore(const nlohmann::json& state);
  const std::vector<MixtureSource>& sources() const;
  std::vector<double> probabilities() const;  // of each source
  double epochs(size_t source) const;         // how often the source has been gone through
  uint64_t left_out(size_t source) const;     // records, over all epochs so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace akin::data
