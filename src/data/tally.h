// What one filter did: counts by reason, and a few samples of each. The samples are those whose
// record numbers have the smallest hashes, so they are spread over the data and do not depend on
// threads. Not thread-safe: one tally a batch, merged in order.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/filter.h"
#include "data/record.h"

namespace akin::data {

nlohmann::ordered_json record_json(const Record& record);  // as append_json() writes it

class Tally {
 public:
  static constexpr size_t kSamples = 3;  // of each reason

  void judged(const Verdict& verdict) {
    ++in_;
    changed_ += verdict.changed ? 1 : 0;
    if (!verdict.note.empty()) note(verdict.note);
  }
  // `number` is the record's among those that its stage reads.
  void remove(std::string_view reason, const std::string& match, const Record& record,
              uint64_t number);
  void merge(const Tally& other);

  uint64_t in() const { return in_; }
  uint64_t removed() const;
  nlohmann::ordered_json json() const;  // in, removed, changed, reasons: {count, samples}, notes
  // The tally again, from a state file. Errors: bad_format.
  static Tally from_json(const nlohmann::ordered_json& json);

 private:
  struct Sample {
    uint64_t order = 0;
    nlohmann::ordered_json shown;
  };
  struct Reason {
    uint64_t count = 0;
    std::vector<Sample> samples;  // smallest order first
    bool wants(uint64_t order) const {
      return samples.size() < kSamples || order < samples.back().order;
    }
    void add(Sample sample);
  };
  void note(std::string_view note);

  uint64_t in_ = 0, changed_ = 0;
  std::map<std::string, uint64_t, std::less<>> notes_;
  std::map<std::string, Reason, std::less<>> reasons_;
};

}  // namespace akin::data
