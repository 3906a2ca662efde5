// See chain.h. A pass ends behind each keyed filter and before each that surveys; the last one
// writes the output.
#include "data/chain.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/leftovers.h"
#include "base/threads.h"
#include "data/chain_parts.h"

namespace akin::data {
namespace fs = std::filesystem;
namespace {

using Filters = std::vector<std::unique_ptr<Filter>>;

struct Pass {
  size_t first = 0, end = 0;  // filters
  bool keyed = false;         // its last filter is
};

Filters make_filters(const ChainOptions& options) {
  Filters out;
  std::set<std::string> seen;
  for (const auto& name : options.filters) {
    if (!seen.insert(name).second) {
      throw_error(ErrorKind::usage, "--filters", "{} is named twice", quote(name));
    }
    out.push_back(make_filter(name, options.filter));
  }
  return out;
}

std::vector<Pass> plan(const Filters& filters) {
  std::vector<Pass> out(1);
  for (size_t i = 0; i < filters.size(); ++i) {
    const FilterPlan plan = filters[i]->plan();
    // A survey reads what a pass before has written, so it never belongs to the first.
    if (plan.surveys && (out.size() == 1 || out.back().first != i)) out.push_back({i, i});
    out.back().end = i + 1;
    if (plan.keys == 0) continue;
    out.back().keyed = true;
    out.push_back({i + 1, i + 1});
  }
  return out;
}

void check_options(const ChainOptions& options) {
  if (options.inputs.empty()) throw_error(ErrorKind::usage, "FILE", "no input is named");
  if (options.out.empty() || options.out == "-") {
    throw_error(ErrorKind::usage, "--out", "name a file for the records that stay");
  }
  for (const auto& name : options.list_removed) {
    const auto infos = filter_infos();
    if (std::none_of(infos.begin(), infos.end(), [&](auto& info) { return info.name == name; })) {
      throw_error(ErrorKind::usage, "--list-removed", "{} is not a filter", quote(name));
    }
  }
  std::error_code ignored;
  for (const auto& input : options.inputs) {
    if (!fs::exists(input, ignored))
      throw_error(ErrorKind::not_found, input, "no such file or folder");
    if (fs::exists(options.out, ignored) && fs::equivalent(input, options.out, ignored)) {
      throw_error(ErrorKind::usage, "--out", "{} is an input, too", quote(options.out));
    }
  }
}

std::string_view shape_words(RowShape shape) {
  if (shape == RowShape::pair) return "pairs";
  return shape == RowShape::single ? "single texts" : "texts with a class";
}

// What the rows of the inputs are. Errors: usage, if they differ, or a filter compares the sides of
// a pair where none is.
RowShape check_shape(const ChainOptions& options, const Filters& filters) {
  const std::string& first = options.inputs.front();
  const RowShape shape = row_shape(first, options.read);
  for (const auto& input : options.inputs) {
    const RowShape other = row_shape(input, options.read);
    if (other == shape) continue;
    throw_error(ErrorKind::usage, "FILE",
                "{} has {}, and {} has {}; clean them one after the other", first,
                shape_words(shape), input, shape_words(other));
  }
  if (shape == RowShape::pair) return shape;
  for (size_t i = 0; i < filters.size(); ++i) {
    if (!filters[i]->plan().pairs) continue;
    throw_error(ErrorKind::usage, "--filters",
                "{} compares the sides of a pair, and {} has {}; leave it out, or say with --map "
                "which columns are the pair",
                options.filters[i], first, shape_words(shape));
  }
  if (shape == RowShape::classes && !options.read.labels.empty()) {
    throw_error(ErrorKind::usage, "--labels",
                "{} has texts with a class, whose names stay as they are; leave --labels out, or "
                "say with --map which columns are a pair and its label",
                first);
  }
  return shape;
}

class Chain {
 public:
  Chain(const ChainOptions& options, const ProgressSink& progress)
      : options_(options),
        progress_(progress),
        filters_(make_filters(options)),
        shape_(check_shape(options, filters_)),
        passes_(plan(filters_)),
        pool_(options.threads == 0 ? usable_cpus() : options.threads),
        folder_(options.work.empty() ? options.out + ".work" : options.work, options) {}

  nlohmann::ordered_json run() {
    try {
      return run_passes();
    } catch (const nlohmann::json::exception& error) {
      throw_error(ErrorKind::bad_format, "state.json",
                  "damaged ({}); remove the work folder and start again", error.what());
    } catch (const Error& error) {
      forget_if_nothing_is_kept();
      if (error.kind() != ErrorKind::interrupted || folder_.finished().empty()) throw;
      throw Error(
          ErrorKind::interrupted,
          fmt::format("{}; {} of {} passes are kept in {}: the same command goes on behind them",
                      error.message(), folder_.finished().size(), passes_.size(),
                      folder_.path().string()));
    } catch (...) {
      forget_if_nothing_is_kept();
      throw;
    }
  }

 private:
  void forget_if_nothing_is_kept() const {
    if (folder_.finished().empty()) folder_.remove();
  }
  nlohmann::ordered_json run_passes() {
    const auto start = std::chrono::steady_clock::now();
    const size_t kept = folder_.finished().size();
    if (kept >= passes_.size()) {
      throw_error(ErrorKind::bad_format, "state.json",
                  "damaged; remove the work folder and start again");
    }
    std::vector<nlohmann::ordered_json> done = folder_.finished();
    for (size_t pass = kept; pass < passes_.size(); ++pass) {
      done.push_back(run_pass(pass));
      if (pass + 1 == passes_.size()) break;  // the last is not kept: its output is the result
      folder_.finish(done.back());
      if (pass > 0) folder_.remove_pass(pass - 1);
    }
    nlohmann::ordered_json out = report(done);
    out["passes"] = passes_.size();
    out["passes_kept"] = kept;
    out["threads"] = pool_.size();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    out["seconds"] = seconds.count();
    if (lists()) {
      write_removed();
      out["removed"] = options_.out + ".removed.jsonl";
    }
    folder_.remove();
    return out;
  }

  bool listed(size_t filter) const {
    const auto& names = options_.list_removed;
    return std::find(names.begin(), names.end(), options_.filters[filter]) != names.end();
  }
  bool lists() const {
    for (size_t i = 0; i < filters_.size(); ++i) {
      if (listed(i)) return true;
    }
    return false;
  }

  nlohmann::ordered_json run_pass(size_t number) {
    const Pass& pass = passes_[number];
    const bool last = number + 1 == passes_.size();
    StageParts parts;
    for (size_t i = pass.first; i < pass.end; ++i) {
      parts.steps.push_back(step(i));
    }
    std::optional<InputSource> input;
    std::optional<WorkSource> work;
    std::optional<RepeatBits> repeats;
    parts.first = number == 0;
    if (number == 0) {
      parts.source = &input.emplace(options_, progress_);
    } else {
      const auto records = folder_.finished()[number - 1].at("records_out").get<uint64_t>();
      parts.source = &work.emplace(folder_.file(number - 1, "records"), records, shape_, progress_);
      if (passes_[number - 1].keyed) {
        parts.repeats = &repeats.emplace(folder_.file(number - 1, "repeats"));
        parts.repeats_step = step(pass.first - 1);
      }
      if (pass.first < pass.end && filters_[pass.first]->plan().surveys) {
        survey(*filters_[pass.first], number - 1, records, parts.repeats);
      }
    }
    const StageResult result = run_with_outputs(number, last, parts);
    nlohmann::ordered_json saved{{"records_out", result.records_out},
                                 {"repeats", result.repeats.json()},
                                 {"steps", nlohmann::ordered_json::array()}};
    for (const Tally& tally : result.steps) saved["steps"].push_back(tally.json());
    if (input) {
      saved["inputs"] = input->report();
      saved["lengths"] = result.lengths_in.json();
    }
    if (last) saved["lengths_out"] = result.lengths_out.json();
    return saved;
  }

  StageParts::Step step(size_t filter) const {
    return {filters_[filter].get(), listed(filter), options_.filters[filter],
            filters_[filter]->plan()};
  }

  // Shows a filter what a pass has left.
  void survey(Filter& filter, size_t pass, uint64_t records, const RepeatBits* repeats) const {
    const auto scan = [&](const std::function<void(const Record&, uint64_t row)>& f) {
      const ProgressSink silent;
      WorkSource source(folder_.file(pass, "records"), records, shape_, silent);
      Batch batch;
      uint64_t row = 0;
      while (source.read(batch)) {
        check_interrupted();
        source.unpack(batch);
        for (size_t i = 0; i < batch.count; ++i, ++row) {
          if (repeats == nullptr || !repeats->repeated(row)) f(batch.records[i], row);
        }
      }
    };
    filter.survey(scan, progress_);
  }

  StageResult run_with_outputs(size_t number, bool last, StageParts& parts) {
    std::optional<AtomicFile> json, removed;
    std::optional<WorkFileWriter> packed;
    std::optional<FirstKeys> keys;
    if (last) {
      parts.json = &json.emplace(options_.out);
    } else {
      parts.packed = &packed.emplace(folder_.file(number, "records"));
    }
    if (passes_[number].keyed) {
      const StageParts::Step& keyed = parts.steps.back();
      parts.keys = &keys.emplace(folder_.file(number, "keys"), keyed.plan,
                                 [filter = keyed.filter](std::string_view a, std::string_view b) {
                                   return filter->alike(a, b);
                                 });
    }
    if (lists()) parts.removed = &removed.emplace(folder_.file(number, "removed"));
    StageResult result = run_stage(parts, pool_);
    if (keys) keys->mark_repeats(folder_.file(number, "repeats"), pool_);
    if (removed) removed->commit();
    if (packed) packed->commit();
    if (json) json->commit();
    return result;
  }

  // One entry a filter: what its pass counted, and the repeats that the next pass dropped.
  nlohmann::ordered_json report(const std::vector<nlohmann::ordered_json>& done) const {
    std::vector<Tally> tallies(filters_.size());
    for (size_t number = 0; number < passes_.size(); ++number) {
      const Pass& pass = passes_[number];
      for (size_t i = pass.first; i < pass.end; ++i) {
        tallies[i].merge(Tally::from_json(done[number].at("steps").at(i - pass.first)));
      }
      if (number > 0 && passes_[number - 1].keyed) {
        tallies[pass.first - 1].merge(Tally::from_json(done[number].at("repeats")));
      }
    }
    auto out = nlohmann::ordered_json::object();
    out["inputs"] = done.front().at("inputs");
    uint64_t records_in = done.back().at("records_out").get<uint64_t>();
    const uint64_t records_out = records_in;
    auto filters = nlohmann::ordered_json::array();
    for (size_t i = 0; i < tallies.size(); ++i) {
      records_in += tallies[i].removed();
      auto entry = nlohmann::ordered_json::object();
      entry["name"] = options_.filters[i];
      entry.update(tallies[i].json());
      for (auto& [name, reason] : entry["reasons"].items()) {
        for (auto& sample : reason["samples"]) sample.erase("order");
      }
      filters.push_back(std::move(entry));
    }
    out["records_in"] = records_in;
    out["records_out"] = records_out;
    out["filters"] = std::move(filters);
    out["lengths"] = {{"in", done.front().at("lengths")}, {"out", done.back().at("lengths_out")}};
    return out;
  }

  // The lists of all passes as one file.
  void write_removed() const {
    AtomicFile out(options_.out + ".removed.jsonl");
    std::array<char, 1 << 16> buffer;
    for (size_t pass = 0; pass < passes_.size(); ++pass) {
      const fs::path path = folder_.file(pass, "removed");
      const std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(std::fopen(path.c_str(), "rbe"),
                                                               &std::fclose);
      if (in == nullptr) throw_error(ErrorKind::io, path.string(), "cannot open");
      while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), in.get())) {
        out.write(buffer.data(), got);
      }
      if (std::ferror(in.get()) != 0) throw_error(ErrorKind::io, path.string(), "cannot read");
    }
    out.commit();
  }

  const ChainOptions& options_;
  const ProgressSink& progress_;
  const Filters filters_;
  const RowShape shape_;
  const std::vector<Pass> passes_;
  ThreadPool pool_;
  WorkFolder folder_;
};

}  // namespace

nlohmann::ordered_json run_chain(const ChainOptions& options, const ProgressSink& progress) {
  check_options(options);
  remove_leftovers(options.out);
  remove_leftovers(options.out + ".removed.jsonl");
  return Chain(options, progress).run();
}

Preview preview_chain(const ChainOptions& options, size_t count) {
  const Filters filters = make_filters(options);
  if (!options.inputs.empty()) check_shape(options, filters);
  std::set<std::pair<uint64_t, uint64_t>> seen;
  std::vector<RecordKey> keys;
  std::string signature;
  const auto stays = [&](Record& record) {
    Record* const one = &record;
    for (const auto& filter : filters) {
      const FilterPlan plan = filter->plan();
      if (plan.surveys) continue;
      Verdict verdict;
      filter->judge({&one, 1}, {&verdict, 1});
      if (!verdict.reason.empty()) return false;
      if (plan.keys != 1) continue;
      keys.clear();
      filter->append_keys(record, keys, signature);
      if (!seen.emplace(keys[0].high, keys[0].low).second) return false;
    }
    return true;
  };
  Preview out;
  for (const auto& input : options.inputs) {
    const auto opened = open_records(input, options.read);
    out.layouts.push_back(opened.layout);
    Record record;
    while (out.records.size() < count && opened.reader->next(record)) {
      check_interrupted();
      ++out.judged;
      if (stays(record)) out.records.push_back(record);
    }
  }
  return out;
}

}  // namespace akin::data
