// One pass over records: read in batches, judged by several threads, written in the order of
// reading. Which filters make a pass, and what is kept between passes, is chain.h. Internal to
// data/.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/threads.h"
#include "data/filter.h"
#include "data/first_keys.h"
#include "data/lengths.h"
#include "data/record.h"
#include "data/tally.h"
#include "data/work_file.h"

namespace akin::data {

struct Batch {
  uint64_t number = 0, first_row = 0;  // the batch's, and its first record's, in this pass
  size_t count = 0;
  std::vector<Record> records;  // the first `count` count; the others keep their memory
  std::string packed;           // of a work file, not yet taken apart
};

class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual bool read(Batch& batch) = 0;            // one thread at a time; false at the end
  virtual void unpack(Batch& /*batch*/) const {}  // several threads at once
};

// Borrowed parts of a pass; null where it has none.
struct StageParts {
  BatchSource* source = nullptr;
  struct Step {
    const Filter* filter = nullptr;
    bool listed = false;  // what it removes is written to `removed`
    std::string name = {};
    FilterPlan plan = {};
  };
  std::vector<Step> steps;
  // Repeats that the pass before found; they count for the filter `repeats_name`.
  const RepeatBits* repeats = nullptr;
  Step repeats_step = {};
  FirstKeys* keys = nullptr;         // of the last filter, for those that stay
  WorkFileWriter* packed = nullptr;  // where they go: to the next pass,
  AtomicFile* json = nullptr;        // or out
  AtomicFile* removed = nullptr;
  bool first = false;  // lengths of what comes in are counted; of what goes out, in the last
};

struct StageResult {
  uint64_t records_out = 0;
  Tally repeats;
  std::vector<Tally> steps;
  LengthCounts lengths_in, lengths_out;
};

// Errors: whatever parts throw; interrupted.
StageResult run_stage(const StageParts& parts, ThreadPool& pool);

}  // namespace akin::data
