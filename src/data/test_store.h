// Shared by the unit tests of mixtures and loaders: a store of records in memory. Not part of the
// library.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/record_store.h"

namespace akin::data {

class MemoryStore : public RecordStore {
 public:
  explicit MemoryStore(std::vector<Record> records) : records_(std::move(records)) {}
  // `size` records of texts that occur once.
  static std::shared_ptr<MemoryStore> of_size(uint64_t size, const std::string& name = "") {
    std::vector<Record> records(size);
    for (uint64_t i = 0; i < size; ++i) {
      records[i].query = fmt::format("{}q{}", name, i);
      records[i].positive = fmt::format("{}p{}", name, i);
      records[i].row = i + 1;
    }
    return std::make_shared<MemoryStore>(std::move(records));
  }

  uint64_t size() const override { return records_.size(); }
  void read(uint64_t number, Record& record) const override {
    if (number == broken) throw Error(ErrorKind::bad_format, "broken record", "test");
    record = records_.at(number);
  }
  TextKeys keys(uint64_t number) const override {
    const Record& record = records_.at(number);
    return {text_key(record.query), text_key(record.positive)};
  }
  RowCounts row_counts() const override { return {}; }
  std::string fingerprint() const override { return fmt::format("{} records", records_.size()); }
  Fields fields() const override {
    Fields out;
    out.fewest_negatives = UINT64_MAX;
    for (const Record& record : records_) {
      out.positive += record.positive.empty() ? 0 : 1;
      out.negatives += record.negatives.empty() ? 0 : 1;
      out.label += record.label ? 1 : 0;
      out.scores += record.scores.size() == 1 + record.negatives.size() ? 1 : 0;
      if (!record.negatives.empty()) {
        out.fewest_negatives = std::min<uint64_t>(out.fewest_negatives, record.negatives.size());
      }
    }
    if (out.negatives == 0) out.fewest_negatives = 0;
    return out;
  }

  uint64_t broken = UINT64_MAX;  // reading this one fails

 private:
  std::vector<Record> records_;
};

}  // namespace akin::data
