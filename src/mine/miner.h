// The negatives of one query's rows: its hits judged, some of those that pass chosen. Searches and
// embeds nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "index/flat.h"
#include "mine/corpus.h"
#include "mine/guards.h"
#include "mine/select.h"
#include "mine/tally.h"

namespace akin::mine {

// What becomes of rows that lack negatives.
enum class ShortRows : uint8_t {
  keep,  // they stay with those that they have; rows without any are left out
  fill,  // random documents that pass the guards make up for them
  drop,  // they are left out
};
std::span<const std::string_view> choices(ShortRows);
enum class Judge : uint8_t { teacher, model };
std::span<const std::string_view> choices(Judge);

struct SelectOptions {
  // Of the hits, best first, those behind the first `skip` and up to rank `last` are the window.
  size_t skip = 2, last = 200;
  size_t negatives = 15;
  Sampling sampling = Sampling::top;
  uint64_t seed = 1;
  bool keep_negatives = false;  // those that a row has come first and count
  ShortRows short_rows = ShortRows::keep;
  Judge judge = Judge::teacher;  // whose scores the score rules go by, where there is a teacher
};

// The vectors of one model on both sides.
struct ModelVectors {
  const TextVectors* queries = nullptr;
  const TextVectors* documents = nullptr;
  float score(uint32_t query, uint32_t document) const {
    return dot(queries->row(query), documents->row(document), queries->dims());
  }
};

struct Choice {
  uint32_t row = 0;
  std::vector<uint32_t> documents;  // mined, by rank; then those that fill
};

// Thread-safe.
class Miner {
 public:
  // teacher: null pointers where there is none.
  Miner(const Corpus& corpus, const TextGuards& guards, const GuardOptions& guard_options,
        ModelVectors model, ModelVectors teacher, const SelectOptions& options);

  // Whose scores decide, for --scores.
  const ModelVectors& decider() const { return decider_; }
  void mine(uint32_t query, std::span<const index::Hit> hits, Tally& tally,
            std::vector<Choice>& out) const;

 private:
  struct Candidate;
  struct Asked;
  Choice mine_row(uint32_t row, const Asked& asked, Tally& tally) const;
  void fill(const Row& row, const Asked& asked, const ScoreRules& rules, uint64_t seed,
            std::vector<uint32_t>& out) const;
  void count_plain(const Row& row, std::span<const Candidate> candidates,
                   std::span<const Fate> fates, float other_positive, uint64_t seed,
                   Tally& tally) const;
  void count_hidden(const Asked& asked, Tally& tally) const;
  void sample(const Row& row, uint32_t number, const Asked& asked, std::span<const Fate> fates,
              const Choice& choice, Tally& tally) const;
  nlohmann::ordered_json shown(const Row& row, uint32_t document, const Candidate* candidate) const;
  float lowest(const ModelVectors& vectors, const Row& row) const;

  const Corpus& corpus_;
  const TextGuards& guards_;
  const GuardOptions& guard_options_;
  const SelectOptions& options_;
  ModelVectors decider_, other_;  // other_: null pointers where there is one model only
};

}  // namespace akin::mine
