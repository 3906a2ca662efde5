// Records of one training source on disk, with access by number: what readers gave once, kept in a
// compact form and mapped, so that an epoch in any order costs no memory. Not a format for others:
// the JSONL that `akin prep` writes is that.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/record.h"
#include "data/record_reader.h"

namespace akin::data {

struct StoreOptions {
  std::vector<std::string> inputs;  // files and BEIR folders, in this order
  ReadOptions read;
};

class RecordStore {
 public:
  // Opens `path` when it holds these inputs (same files, sizes, times and options), else reads the
  // inputs and writes it: to a temporary name, renamed when complete. Errors: those of readers;
  // bad_format (no records at all); io; interrupted.
  static std::unique_ptr<RecordStore> open(const std::filesystem::path& path,
                                           const StoreOptions& options,
                                           const ProgressSink& progress);
  virtual ~RecordStore() = default;
  virtual uint64_t size() const = 0;
  virtual void read(uint64_t number, Record& record) const = 0;  // thread-safe
  virtual uint64_t bad_rows() const = 0;
  virtual std::string fingerprint() const = 0;  // of inputs and options, for checkpoints
  // Which fields the records have: counts over all of them.
  struct Fields {
    uint64_t positive = 0, negatives = 0, label = 0, scores = 0;
    uint64_t fewest_negatives = 0;  // of the records that have any
  };
  virtual Fields fields() const = 0;
};

}  // namespace akin::data
