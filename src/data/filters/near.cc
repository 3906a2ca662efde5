// Near duplicates: records that say the same in nearly the same words.
//
// Computes  for query and positive, each by itself, a MinHash signature of its word shingles. Two
//           records are alike when the estimated Jaccard similarity of both sides is at least
//           near_similarity: a passage that answers two questions stays with both.
// Data      any record; negatives, label, scores, task and source do not count. A difference of one
//           word, such as a "not" in a long text, is a small difference: leave this filter out for
//           data that lives by such words.
// Options   near_similarity (default 0.8, at least 0.4), near_words (words of a shingle, default
// 2). Removes   nearly equal: an earlier record is alike. The earlier one counts even if it is
// itself
//           removed for a still earlier one. Candidates are the records that share a band: the
//           rows of a band come from both sides, and there are as many bands as it takes to meet a
//           pair that is just similar enough with probability 0.99. A record is compared with the
//           first 32 different ones of a band (first_keys.h).
// Errors    usage, for options out of range.
// Source    MinHash and banding: Broder 1997; Leskovec, Rajaraman, Ullman, "Mining of Massive
//           Datasets", chapter 3. Both sides in one band is ours.
// See also  minhash.h, dedup.cc (equal records, for less).
#include <cmath>

#include "base/error.h"
#include "base/hash.h"
#include "data/filter.h"
#include "data/minhash.h"

namespace akin::data {
namespace {

constexpr double kMostMissed = 0.01;  // of pairs that are just similar enough
constexpr size_t kBands = 16, kMostBands = 64, kMostRows = 4;
constexpr uint64_t kBandSeed = 0x62616E64;

double missed(double similarity, size_t bands, size_t rows) {
  const double band = std::pow(similarity, 2.0 * static_cast<double>(rows));
  return std::pow(1 - band, static_cast<double>(bands));
}

class Near final : public RecordFilter {
 public:
  explicit Near(const FilterOptions& options)
      : similarity_(options.near_similarity), words_(options.near_words) {
    if (!(similarity_ >= 0.4 && similarity_ <= 1)) {
      throw_error(ErrorKind::usage, "--near-similarity", "{} is not between 0.4 and 1",
                  similarity_);
    }
    if (words_ < 1 || words_ > 100) {
      throw_error(ErrorKind::usage, "--near-words", "{} is not between 1 and 100", words_);
    }
    while (rows_ < kMostRows && missed(similarity_, bands_, rows_ + 1) <= kMostMissed) ++rows_;
    while (bands_ < kMostBands && missed(similarity_, bands_, rows_) > kMostMissed) ++bands_;
    static_assert(kBands * kMostRows <= kMinHashes && kMostBands <= kMinHashes);
  }

  Verdict judge_record(Record& /*record*/) const override { return {}; }
  FilterPlan plan() const override {
    return {.keys = bands_, .signature_bytes = 2 * kMinHashes, .reason = "nearly equal"};
  }
  void append_keys(const Record& record, std::vector<RecordKey>& keys,
                   std::string& signature) const override {
    const auto query = min_hashes(record.query, words_);
    const auto positive = min_hashes(record.positive, words_);
    std::array<uint32_t, 2 * kMostRows> band;
    for (size_t i = 0; i < bands_; ++i) {
      for (size_t row = 0; row < rows_; ++row) {
        band[2 * row] = query[i * rows_ + row];
        band[2 * row + 1] = positive[i * rows_ + row];
      }
      const std::string_view bytes(reinterpret_cast<const char*>(band.data()),
                                   2 * rows_ * sizeof(uint32_t));
      keys.push_back({hash64(bytes, kBandSeed + i), 0});
    }
    for (const auto* side : {&query, &positive}) {
      for (const uint32_t value : *side) signature += static_cast<char>(value & 0xFF);
    }
  }
  bool alike(std::string_view signature, std::string_view other) const override {
    return estimated_similarity(signature.data(), other.data()) >= similarity_ &&
           estimated_similarity(signature.data() + kMinHashes, other.data() + kMinHashes) >=
               similarity_;
  }

 private:
  const double similarity_;
  const uint64_t words_;
  size_t bands_ = kBands, rows_ = 1;  // rows: of each side
};

}  // namespace

std::unique_ptr<Filter> make_near_filter(const FilterOptions& options) {
  return std::make_unique<Near>(options);
}

}  // namespace akin::data
