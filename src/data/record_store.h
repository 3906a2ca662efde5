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
#include "data/eval_gate.h"
#include "data/record.h"
#include "data/record_reader.h"

namespace akin::data {

struct StoreOptions {
  std::vector<std::string> inputs;  // files and BEIR folders, in this order
  ReadOptions read;
  EvalGate* gate = nullptr;  // leaves out what meets an evaluation text
};

// What tells texts apart: a hash of the folded text (fold.h); 0 for no text.
struct TextKeys {
  uint64_t query = 0, positive = 0;
};
uint64_t text_key(std::string_view text);

class RecordStore {
 public:
  // Opens `path` when it holds these inputs (same files, sizes, times and options), else reads the
  // inputs and writes it: to a temporary name, renamed when complete. A record with a blank text is
  // a bad row. Memory: one block of records. Errors: those of readers; bad_format (no records at
  // all, or a damaged store: delete it); io; interrupted.
  static std::unique_ptr<RecordStore> open(const std::filesystem::path& path,
                                           const StoreOptions& options,
                                           const ProgressSink& progress);
  virtual ~RecordStore() = default;
  virtual uint64_t size() const = 0;
  // Thread-safe. Errors: bad_format (damaged: delete the store).
  virtual void read(uint64_t number, Record& record) const = 0;
  virtual TextKeys keys(uint64_t number) const;  // the same, without reading the texts
  struct RowCounts {
    uint64_t bad = 0, left_out = 0;  // left out: they met an evaluation text
  };
  virtual RowCounts row_counts() const = 0;  // of the inputs, without the records themselves
  // Of the records themselves, for checkpoints: the same wherever the files lie.
  virtual std::string fingerprint() const = 0;
  // Which fields the records have: counts over all of them.
  struct Fields {
    uint64_t positive = 0, negatives = 0, label = 0;
    uint64_t not_pairs = 0;         // records with a label of 0 or less
    uint64_t scores = 0;            // records with one for the positive and for each negative
    uint64_t fewest_negatives = 0;  // of the records that have any
  };
  virtual Fields fields() const = 0;
};

}  // namespace akin::data
