// Hard negatives for training rows: every query is searched exactly among the documents, guards cut
// what is likely an answer, and some of what is left are written beside the row's positives.
//
// Source  hn_mine of FlagEmbedding (rank window, sampling, formats); positive-aware rules:
// NV-Retriever,
//         arXiv:2407.15831. What a guard does is guards.h.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "mine/corpus.h"
#include "mine/guards.h"
#include "mine/miner.h"
#include "mine/vectors.h"

namespace akin::mine {

enum class OutputFormat : uint8_t {
  flagembedding,  // a line a row: query, pos, neg
  pairs,          // a line a positive: query, positive, negatives
};
std::span<const std::string_view> choices(OutputFormat);

struct MineOptions {
  InputOptions input;
  std::vector<TextStream> corpus;  // documents besides those of the input
  Model model, teacher;            // teacher: a null encoder where there is none
  GuardOptions guards;
  SelectOptions select;
  OutputFormat format = OutputFormat::flagembedding;
  bool scores = false;  // also written
  std::string out;
  std::string work;        // empty: OUT.work
  bool keep_work = false;  // vectors stay in the work folder for runs to come
  size_t threads = 0;
};

// Returns the report. Results do not depend on the number of threads, and a run that was stopped or
// killed goes on behind its last finished block when called again, to the same bytes. Memory: about
// 80 bytes a document and a row, and what one block of queries takes (0.5 GB at most); texts, words
// and vectors are on disk. Errors: usage, not_found, io, bad_format, interrupted; those of
// encoding.
nlohmann::ordered_json mine(const MineOptions& options, const ProgressSink& progress);

}  // namespace akin::mine
