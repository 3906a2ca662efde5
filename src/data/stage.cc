// See stage.h. Each thread reads a batch under one lock, judges it alone, and hands it over under
// another when its turn has come: no queue, and the result does not depend on the number of
// threads.
#include "data/stage.h"

#include "base/progress.h"
#include "data/record_io.h"

namespace akin::data {
namespace {

// What a thread makes of a batch.
struct Outcome {
  std::string bytes, removed;
  std::vector<RecordKey> keys;
  uint32_t kept = 0;
  Tally repeats;
  std::vector<Tally> steps;

  void clear(size_t step_count) {
    bytes.clear();
    removed.clear();
    keys.clear();
    kept = 0;
    repeats = {};
    steps.assign(step_count, {});
  }
};

class Stage {
 public:
  explicit Stage(const StageParts& parts) : parts_(parts) {
    result_.steps.resize(parts.steps.size());
  }

  void work() {
    Batch batch;
    Outcome outcome;
    try {
      while (read(batch)) {
        parts_.source->unpack(batch);
        outcome.clear(parts_.steps.size());
        for (size_t i = 0; i < batch.count; ++i) {
          judge(batch.records[i], batch.first_row + i, outcome);
        }
        if (!write(batch.number, outcome)) return;
      }
    } catch (...) {
      const std::lock_guard lock(write_mutex_);
      failed_ = true;
      turn_.notify_all();
      throw;
    }
  }
  StageResult take() { return std::move(result_); }

 private:
  bool read(Batch& batch) {
    check_interrupted();
    const std::lock_guard lock(read_mutex_);
    if (ended_) return false;
    batch.number = batches_;
    batch.first_row = rows_;
    batch.count = 0;
    // A source that threw once is not read again.
    ended_ = true;
    if (!parts_.source->read(batch)) return false;
    ended_ = false;
    ++batches_;
    rows_ += batch.count;
    return true;
  }

  void judge(Record& record, uint64_t row, Outcome& out) const {
    if (parts_.repeats != nullptr && parts_.repeats->repeated(row)) {
      remove(parts_.repeats_step, {.reason = "repeated"}, record, row, out.repeats, out);
      return;
    }
    for (size_t i = 0; i < parts_.steps.size(); ++i) {
      const Verdict verdict = parts_.steps[i].filter->judge(record);
      out.steps[i].judged(verdict.changed);
      if (verdict.reason.empty()) continue;
      remove(parts_.steps[i], verdict, record, row, out.steps[i], out);
      return;
    }
    ++out.kept;
    if (parts_.keys != nullptr) out.keys.push_back(parts_.steps.back().filter->key(record));
    if (parts_.packed != nullptr) {
      append_packed(record, out.bytes);
    } else {
      append_json(record, out.bytes);
      out.bytes += '\n';
    }
  }

  static void remove(const StageParts::Step& step, const Verdict& verdict, const Record& record,
                     uint64_t row, Tally& tally, Outcome& out) {
    tally.remove(verdict.reason, verdict.match, record, row);
    if (!step.listed) return;
    nlohmann::ordered_json line{{"filter", step.name}, {"reason", verdict.reason}};
    if (!verdict.match.empty()) line["match"] = verdict.match;
    line["row"] = record.row;
    line["record"] = record_json(record);
    out.removed += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    out.removed += '\n';
  }

  // Waits for its turn; false when another thread failed.
  bool write(uint64_t number, Outcome& out) {
    std::unique_lock lock(write_mutex_);
    turn_.wait(lock, [&] { return failed_ || written_ == number; });
    if (failed_) return false;
    for (const RecordKey& key : out.keys) parts_.keys->add(key);
    if (parts_.packed != nullptr) {
      if (out.kept > 0) parts_.packed->write(out.kept, out.bytes);
    } else {
      parts_.json->write(out.bytes);
    }
    if (parts_.removed != nullptr) parts_.removed->write(out.removed);
    result_.records_out += out.kept;
    result_.repeats.merge(out.repeats);
    for (size_t i = 0; i < out.steps.size(); ++i) result_.steps[i].merge(out.steps[i]);
    ++written_;
    turn_.notify_all();
    return true;
  }

  const StageParts& parts_;
  std::mutex read_mutex_;
  bool ended_ = false;
  uint64_t batches_ = 0, rows_ = 0;
  std::mutex write_mutex_;
  std::condition_variable turn_;
  bool failed_ = false;
  uint64_t written_ = 0;
  StageResult result_;
};

}  // namespace

StageResult run_stage(const StageParts& parts, ThreadPool& pool) {
  Stage stage(parts);
  pool.run([&](size_t) { stage.work(); });
  return stage.take();
}

}  // namespace akin::data
