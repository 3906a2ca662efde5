// Training rows, and evaluation sets, of the failure cases F1 to F4 of jina-embeddings-v3
// (arXiv:2409.10173 section 4.3.4), made of a user's own rows and documents. No model is asked.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "mine/corpus.h"
#include "mine/input.h"

namespace akin::mine {

struct FailureOptions {
  InputOptions input;
  std::vector<TextStream> corpus;  // documents besides those of the input
  std::vector<std::string> cases;  // names of failure_cases.def; empty or "all": every one
  size_t negatives = 7;            // of a line, at most
  uint64_t seed = 1;
  double hold_out = 0;   // share of the rows that go to eval_set in place of out
  std::string out;       // JSONL of query, pos, neg; empty: none is written
  std::string eval_set;  // folder for <case>.jsonl and tasks.toml; empty: none is written
  std::string work;      // folder for texts of this run; must be given
  size_t threads = 0;
};

// Returns the report. The lines depend on the input and the seed alone. Rows with a positive in
// common are held out together. Memory: about 0.5 kB a document and a row, texts are on disk.
// Errors: usage, not_found, io, bad_format, interrupted.
nlohmann::ordered_json make_failure_cases(const FailureOptions& options,
                                          const ProgressSink& progress);

}  // namespace akin::mine
