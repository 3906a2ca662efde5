// What mining did, in numbers and samples: of a thread, of a block, of the run. Sums are whole
// numbers and samples are those with the smallest hashes, so neither depends on threads.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "mine/guards.h"

namespace akin::mine {

// Scores from -1 to 1 in steps of 0.05; what lies beyond is in the outer ones.
struct ScoreCounts {
  static constexpr size_t kBins = 40;
  std::array<uint64_t, kBins> bins{};
  uint64_t count = 0;
  int64_t millionths = 0;  // sum
  void add(float score);
  void merge(const ScoreCounts& other);
  double mean() const;
};

// Known answers hidden from the guards, one at a time: how many would become negatives.
struct HiddenCounts {
  uint64_t tried = 0, outside = 0, cut = 0, passed = 0;  // outside the window of ranks
};

class Tally {
 public:
  static constexpr size_t kRowSamples = 8, kFateSamples = 3;

  uint64_t rows = 0, window = 0, kept = 0, filled = 0, short_rows = 0, bare_rows = 0;
  uint64_t rank_sum = 0;
  std::array<uint64_t, kFates> fates{};    // of the candidates in the window
  std::array<uint64_t, kFates> plain{};    // of those that the same choice takes without guards
  std::array<uint64_t, 3> order_broken{};  // judged by the other model: kept, above, plain above
  uint64_t plain_judged = 0;
  ScoreCounts positives, negatives;
  HiddenCounts hidden;

  bool wants_row(uint64_t order) const { return rows_.wants(order, kRowSamples); }
  bool wants_fate(Fate fate, uint64_t order) const {
    return samples_[static_cast<size_t>(fate)].wants(order, kFateSamples);
  }
  void add_row(uint64_t order, nlohmann::ordered_json shown);
  void add_fate(Fate fate, uint64_t order, nlohmann::ordered_json shown);

  void merge(const Tally& other);
  nlohmann::ordered_json json() const;  // everything, for a work file
  // Errors: nlohmann::json's.
  static Tally from_json(const nlohmann::ordered_json& json);
  // What people read: "guards", "estimate", "scores", "samples".
  void report(nlohmann::ordered_json& out) const;

 private:
  struct Sample {
    uint64_t order = 0;
    nlohmann::ordered_json shown;
  };
  struct Samples {
    std::vector<Sample> items;  // smallest order first
    bool wants(uint64_t order, size_t most) const {
      return items.size() < most || order < items.back().order;
    }
    void add(Sample sample, size_t most);
    nlohmann::ordered_json json() const;
    static Samples from_json(const nlohmann::ordered_json& json);
  };
  Samples rows_;
  std::array<Samples, kFates> samples_;
};

}  // namespace akin::mine
