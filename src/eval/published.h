// Scores that mteb's public results repository has for well-known models on MTEB(eng, v1),
// MTEB(eng, v2) and MTEB(cmn, v1): facts to lay beside one's own. Compiled in; not a download.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/run_results.h"

namespace akin::eval {

struct PublishedTask {
  std::string_view name, type;
  bool eng_v1, eng_v2, cmn_v1;  // the benchmarks it counts in
};

struct PublishedScore {
  std::string_view model, task, type;
  double score;                   // main score, 0 to 1
  std::string_view split;         // "test"; "validation ONLY": the benchmark counts one more split
  std::string_view revision;      // "external": copied from the model's card
  std::string_view mteb_version;  // empty where external
};

std::span<const std::string_view> published_models();
std::span<const PublishedTask> published_tasks();
// Name with or without ORG/, in any case; empty if it is not there, or ambiguous.
std::string_view find_published_model(std::string_view model);
std::optional<PublishedScore> published_score(std::string_view model, std::string_view task);
std::vector<PublishedScore> published_scores(std::string_view model);
// As a run, so that it takes its place in tables. Errors: not_found with the nearest name.
RunResults published_run(std::string_view model);

}  // namespace akin::eval
