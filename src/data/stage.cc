// See stage.h. Each thread reads a batch under one lock, judges it alone, and hands it over under
// another when its turn has come: no queue, and the result does not depend on the number of
// threads.
#include "data/stage.h"

#include "base/progress.h"
#include "data/record_io.h"

namespace akin::data {
namespace {

constexpr size_t kStays = SIZE_MAX, kRepeat = SIZE_MAX - 1;

// What the steps say of a batch's records.
struct Judged {
  std::vector<size_t> removed_by;  // of each record: a step, kRepeat or kStays
  std::vector<Verdict> verdicts;   // of each record: the last
  std::vector<Record*> alive;
  std::vector<size_t> index;  // of each that is alive
  std::vector<Verdict> step_verdicts;
};

// What a thread makes of a batch.
struct Outcome {
  std::string bytes, removed;
  std::vector<RecordKey> keys;
  std::string signatures;
  uint32_t kept = 0;
  Tally repeats;
  std::vector<Tally> steps;
  LengthCounts lengths_in, lengths_out;

  void clear(size_t step_count) {
    bytes.clear();
    removed.clear();
    keys.clear();
    signatures.clear();
    lengths_in = lengths_out = {};
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
    Judged judged;
    try {
      while (read(batch)) {
        parts_.source->unpack(batch);
        outcome.clear(parts_.steps.size());
        judge(batch, judged, outcome);
        for (size_t i = 0; i < batch.count; ++i) {
          settle(batch.records[i], batch.first_row + i, judged.removed_by[i], judged.verdicts[i],
                 outcome);
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

  // Each step judges what those before it let pass.
  void judge(Batch& batch, Judged& judged, Outcome& out) const {
    judged.removed_by.assign(batch.count, kStays);
    judged.verdicts.assign(batch.count, {});
    judged.alive.clear();
    judged.index.clear();
    for (size_t i = 0; i < batch.count; ++i) {
      if (parts_.first) out.lengths_in.add(batch.records[i]);
      if (parts_.repeats != nullptr && parts_.repeats->repeated(batch.first_row + i)) {
        judged.removed_by[i] = kRepeat;
        judged.verdicts[i].reason = parts_.repeats_step.plan.reason;
        continue;
      }
      judged.alive.push_back(&batch.records[i]);
      judged.index.push_back(i);
    }
    for (size_t step = 0; step < parts_.steps.size() && !judged.alive.empty(); ++step) {
      judge_step(step, judged, out.steps[step]);
    }
  }

  void judge_step(size_t step, Judged& judged, Tally& tally) const {
    judged.step_verdicts.assign(judged.alive.size(), {});
    parts_.steps[step].filter->judge(judged.alive, judged.step_verdicts);
    size_t left = 0;
    for (size_t i = 0; i < judged.alive.size(); ++i) {
      Verdict& verdict = judged.step_verdicts[i];
      tally.judged(verdict);
      if (verdict.reason.empty()) {
        judged.alive[left] = judged.alive[i];
        judged.index[left++] = judged.index[i];
        continue;
      }
      judged.removed_by[judged.index[i]] = step;
      judged.verdicts[judged.index[i]] = std::move(verdict);
    }
    judged.alive.resize(left);
    judged.index.resize(left);
  }

  // Writes and counts what has become of a record.
  void settle(const Record& record, uint64_t row, size_t removed_by, const Verdict& verdict,
              Outcome& out) const {
    if (removed_by != kStays) {
      const bool repeat = removed_by == kRepeat;
      remove(repeat ? parts_.repeats_step : parts_.steps[removed_by], verdict, record, row,
             repeat ? out.repeats : out.steps[removed_by], out);
      return;
    }
    ++out.kept;
    if (parts_.keys != nullptr) {
      parts_.steps.back().filter->append_keys(record, out.keys, out.signatures);
    }
    if (parts_.packed != nullptr) {
      append_packed(record, out.bytes);
    } else {
      out.lengths_out.add(record);
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
    if (parts_.keys != nullptr) add_keys(out);
    if (parts_.packed != nullptr) {
      if (out.kept > 0) parts_.packed->write(out.kept, out.bytes);
    } else {
      parts_.json->write(out.bytes);
    }
    if (parts_.removed != nullptr) parts_.removed->write(out.removed);
    result_.records_out += out.kept;
    result_.repeats.merge(out.repeats);
    result_.lengths_in.merge(out.lengths_in);
    result_.lengths_out.merge(out.lengths_out);
    for (size_t i = 0; i < out.steps.size(); ++i) result_.steps[i].merge(out.steps[i]);
    ++written_;
    turn_.notify_all();
    return true;
  }

  void add_keys(const Outcome& out) const {
    const FilterPlan& plan = parts_.steps.back().plan;
    for (size_t i = 0; i < out.kept; ++i) {
      parts_.keys->add(
          std::span(out.keys).subspan(i * plan.keys, plan.keys),
          std::string_view(out.signatures).substr(i * plan.signature_bytes, plan.signature_bytes));
    }
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
