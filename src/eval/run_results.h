// The results of one run of one model (one revision folder), and of all runs below a folder, as the
// result files have them. Not the runner that makes them, not the means (aggregate.h).
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/mteb_result.h"

namespace akin::eval {

// What is known of a run besides its scores; read from the "akin" member of its task files, from
// run_settings.jsonl and model_meta.json in its folder. Zero or empty: not known.
struct RunFacts {
  size_t dims = 0;               // "dims", else model_meta's embed_dim
  size_t max_tokens = 0;         // 0: not known, or no limit
  uint64_t parameters = 0;       // "n_parameters"
  std::string dtype;             // "dtype": f32, int8
  std::string fingerprint;       // "fingerprint"
  double texts_per_second = 0;   // "texts_per_second"; else "texts" / "encode_seconds"
  double tokens_per_second = 0;  // "tokens_per_second"; else "tokens" / "encode_seconds"
};

struct RunResults {
  std::string model;  // "BAAI/bge-small-zh-v1.5"
  std::string revision;
  std::string experiment;        // "" for the run itself; else the folder's name under experiments/
  std::filesystem::path folder;  // empty for published scores
  std::vector<store::TaskResult> tasks;
  nlohmann::ordered_json meta = nlohmann::ordered_json::object();    // model_meta.json
  nlohmann::ordered_json config = nlohmann::ordered_json::object();  // of the run
  RunFacts facts;
  bool published = false;  // from published.h: no item scores, no configuration

  const store::TaskResult* find(std::string_view task) const;
  std::string label() const;  // model, then what tells it from others: "m (256 dims, int8)"
};

// Fills `facts` from meta, config and the tasks' "akin" members, where they are still empty.
void collect_facts(RunResults& run);

// One run: a revision or experiment folder, or a folder above with exactly one run in it, or one
// task file, or "published:ORG/NAME". Errors: not_found; usage naming the runs when there are
// several; bad_format.
RunResults load_run(const std::string& what);
// Every run below a folder, sorted by model, revision, experiment. Errors: not_found if none.
std::vector<RunResults> load_runs(const std::filesystem::path& root);

}  // namespace akin::eval
