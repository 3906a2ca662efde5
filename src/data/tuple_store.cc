#include "data/tuple_store.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"
#include "data/shuffle.h"

namespace akin::data {
namespace {

class TupleStore final : public RecordStore {
 public:
  TupleStore(std::shared_ptr<const RecordStore> classes, const TupleOptions& options,
             const std::string& name)
      : texts_(std::move(classes)), options_(options), ids_(texts_->size(), options.seed) {
    read_classes();
    if (begins_.size() < 3) {
      throw_error(ErrorKind::bad_format, name,
                  "{} class; tuples need texts of two classes at least", begins_.size() - 1);
    }
    for (uint64_t number = 0; number < texts_->size(); ++number) {
      const uint32_t of = class_of_[number];
      if (begins_[of + 1] - begins_[of] > 1) tuples_.push_back(static_cast<uint32_t>(number));
    }
    if (!tuples_.empty()) return;
    throw_error(ErrorKind::bad_format, name,
                "no class has two texts, so no text has another one of its class");
  }

  uint64_t size() const override { return tuples_.size(); }

  void read(uint64_t number, Record& record) const override {
    const uint64_t text = tuples_.at(number);
    const uint32_t of = class_of_[text];
    Rng rng(seed_of(text));
    const std::string id = " " + std::to_string(ids_.at(text));
    texts_->read(text, record);
    record.negatives.clear();
    record.query += id;
    Record other;
    const auto take = [&](uint32_t chosen) {
      texts_->read(chosen, other);
      return std::move(other.query) + id;
    };
    record.positive = take(classmate(static_cast<uint32_t>(text), of, rng));
    for (uint64_t i = 0; i < options_.negatives; ++i) {
      record.negatives.push_back(take(stranger(of, rng)));
    }
  }

  RowCounts row_counts() const override { return texts_->row_counts(); }
  std::string fingerprint() const override {
    Hasher hasher;
    hasher.add(texts_->fingerprint());
    hasher.add(fmt::format("tuples {} {}", options_.seed, options_.negatives));
    return hasher.hex();
  }
  Fields fields() const override {
    Fields out;
    out.positive = out.negatives = size();
    out.fewest_negatives = options_.negatives;
    return out;
  }

 private:
  void read_classes() {
    if (texts_->size() > UINT32_MAX) {
      throw_error(ErrorKind::unsupported, "tuples", "more than {} texts in a source", UINT32_MAX);
    }
    std::unordered_map<std::string, uint32_t> names;
    Record record;
    for (uint64_t number = 0; number < texts_->size(); ++number) {
      texts_->read(number, record);
      const auto next = static_cast<uint32_t>(names.size());
      class_of_.push_back(names.try_emplace(record.positive, next).first->second);
    }
    begins_.resize(names.size() + 1);
    for (const uint32_t of : class_of_) ++begins_[of + 1];
    for (size_t i = 1; i < begins_.size(); ++i) begins_[i] += begins_[i - 1];
    members_.resize(class_of_.size());
    place_.resize(class_of_.size());
    std::vector<uint32_t> filled(begins_.begin(), begins_.end());
    for (uint32_t number = 0; number < class_of_.size(); ++number) {
      place_[number] = filled[class_of_[number]]++;
      members_[place_[number]] = number;
    }
  }

  uint64_t seed_of(uint64_t text) const {
    const uint64_t words[] = {options_.seed, text};
    return hash64({reinterpret_cast<const char*>(words), sizeof words});
  }
  uint32_t classmate(uint32_t text, uint32_t of, Rng& rng) const {
    uint64_t at = begins_[of] + rng.below(begins_[of + 1] - begins_[of] - 1);
    if (at >= place_[text]) ++at;
    return members_[at];
  }
  // Any text of another class.
  uint32_t stranger(uint32_t of, Rng& rng) const {
    uint64_t at = rng.below(members_.size() - (begins_[of + 1] - begins_[of]));
    if (at >= begins_[of]) at += begins_[of + 1] - begins_[of];
    return members_[at];
  }

  const std::shared_ptr<const RecordStore> texts_;
  const TupleOptions options_;
  const Shuffle ids_;                       // numbers in an order that says nothing about classes
  std::vector<uint32_t> class_of_;          // of each text
  std::vector<uint32_t> begins_, members_;  // texts by class; class c: [begins_[c], begins_[c + 1])
  std::vector<uint32_t> place_;             // of each text in members_
  std::vector<uint32_t> tuples_;            // the text that a tuple is of
};

}  // namespace

std::unique_ptr<RecordStore> make_tuples(std::shared_ptr<const RecordStore> classes,
                                         const TupleOptions& options, const std::string& name) {
  AKIN_CHECK(classes != nullptr && options.negatives > 0);
  return std::make_unique<TupleStore>(std::move(classes), options, name);
}

}  // namespace akin::data
