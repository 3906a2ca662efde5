// The queries of a search, from flags, a file or a terminal, and how their answers are shown.
// Searches nothing itself: a function answers.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/context.h"
#include "cli/load.h"

namespace akin::cli {

struct QueryOptions {
  std::vector<std::string> query;
  std::string queries;
  size_t k = 10;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("query=TEXT...", query, "what to look for");
    v("queries=FILE", queries, "a file of queries, one a row");
    v("k=N", k, "how many answers");
  }
};

struct ShownHit {
  double score = 0;
  std::string place;  // its id, or file and line
  std::string text;
  nlohmann::ordered_json json;  // of --json, without the score
};

struct Answer {
  std::vector<ShownHit> hits;
  double seconds = 0;
};

struct QuerySession {
  const QueryOptions& options;
  const InputOptions& input;  // of the file of queries
  Context& context;
  uint64_t documents = 0;  // for the closing line
  bool warm = true;        // scores are similarities, and colours show them
  std::function<std::vector<Answer>(std::span<const std::string>)> answer;
};

// Takes the query out of the positional words, where the first is one: no flag gives queries and it
// names no file.
void take_positional_query(QueryOptions& options, std::vector<std::string>& words);
// Errors: usage, queries given twice, or none and no terminal to ask on.
void check_queries(const QueryOptions& options, const Context& context);
// Answers every query and prints; asks on the terminal where there is none.
void run_queries(const QuerySession& session);

}  // namespace akin::cli
