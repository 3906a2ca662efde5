// A chain of filters over files of records: what `akin prep` runs. Out of core: the records pass by
// in batches; a keyed filter (dedup, near) ends a pass, its keys go to disk, and the next pass
// drops the repeats; a filter that surveys (consistency) begins one and reads first what it needs.
// A work folder keeps finished passes, so a run that was stopped goes on with the next and ends in
// the same bytes. The number of threads changes nothing but time.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "data/filter.h"
#include "data/record.h"
#include "data/record_reader.h"

namespace akin::data {

struct ChainOptions {
  std::vector<std::string> inputs;  // files and BEIR folders, in this order
  ReadOptions read;
  std::vector<std::string> filters;  // names, in this order
  FilterOptions filter;
  std::vector<std::string> list_removed;  // filters whose removals go to <out>.removed.jsonl
  std::string out;                        // JSONL; appears only when it is complete
  std::string work;                       // folder for unfinished work; empty: <out>.work
  size_t threads = 0;                     // 0: all that this process may use
};

// Runs the chain, removes its work folder and returns the report:
//   inputs   [{path, layout, rows, bad_rows, first_bad_rows: [{where, message}], dropped_rows}]
//   records_in, records_out, passes, passes_kept (from a run before), threads, seconds
//   filters  [{name, in, removed, changed, reasons: {reason: {count, samples}}, notes: {note:
//   count}}] lengths  {in, out}: {query, positive}: counts of texts by length, see lengths.h
//   removed  the list of what was removed, when there is one
// The inputs are pairs or single texts, never both: what stays has one form.
// Errors: usage (unknown or doubled filters, an output that is an input, a work folder of another
// run), those of readers and filters, io, interrupted (the work folder stays).
nlohmann::ordered_json run_chain(const ChainOptions& options, const ProgressSink& progress);

struct Preview {
  std::vector<std::string> layouts;  // of each input
  std::vector<Record> records;       // the first that the chain lets pass
  uint64_t judged = 0;
};
// Writes nothing. Leaves out what needs all the records: filters that survey, and signatures.
Preview preview_chain(const ChainOptions& options, size_t count);

}  // namespace akin::data
