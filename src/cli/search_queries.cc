#include "cli/search_queries.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "base/error.h"
#include "cli/snippet.h"
#include "cli/terminal.h"

namespace akin::cli {
namespace {

void print_json(const QuerySession& s, const std::string& query, const Answer& answer) {
  nlohmann::ordered_json line = {
      {"query", query}, {"seconds", answer.seconds}, {"hits", nlohmann::ordered_json::array()}};
  for (const auto& hit : answer.hits) {
    nlohmann::ordered_json item = {{"score", hit.score}};
    item.update(hit.json);
    line["hits"].push_back(std::move(item));
  }
  s.context.print_json(line);
}

void print_plain(const QuerySession& s, const std::string& query, const Answer& answer, bool many) {
  for (const auto& hit : answer.hits) {
    if (many) s.context.print("{}\t", printable(query));
    s.context.print("{:.6f}\t{}\t{}\n", hit.score, printable(hit.place), printable(hit.text));
  }
}

void print_terminal(const QuerySession& s, const std::string& query, const Answer& answer,
                    bool many) {
  const size_t columns = terminal_columns(), place = std::min<size_t>(30, columns / 4);
  const bool color = s.context.color();
  if (many) s.context.print("{}\n", bold(printable(query), color));
  for (size_t rank = 0; rank < answer.hits.size(); ++rank) {
    const auto& hit = answer.hits[rank];
    const std::string score = fmt::format("{:6.3f}", hit.score);
    s.context.print("{:>3} {} {} {}\n", rank + 1,
                    color && s.warm ? heat_cell(score, hit.score) : score,
                    dim(fit(hit.place, place), color),
                    snippet(hit.text, query, columns - std::min(columns, place + 13)));
  }
  if (answer.hits.empty()) s.context.print("{}\n", dim("nothing found", color));
  if (many) s.context.write("\n");
}

void answer_block(const QuerySession& s, std::span<const std::string> queries, bool many) {
  check_interrupted();
  const auto answers = s.answer(queries);
  for (size_t q = 0; q < queries.size(); ++q) {
    if (s.context.json()) {
      print_json(s, queries[q], answers[q]);
    } else if (s.context.stdout_terminal()) {
      print_terminal(s, queries[q], answers[q], many);
    } else {
      print_plain(s, queries[q], answers[q], many);
    }
  }
}

void ask_and_answer(const QuerySession& s) {
  s.context.say("type a query; an empty line ends");
  std::string line;
  while (true) {
    std::cerr << "query> " << std::flush;
    const bool read = static_cast<bool>(std::getline(std::cin, line));
    check_interrupted();
    if (!read || line.empty()) break;
    const Stopwatch watch;
    answer_block(s, std::span(&line, 1), false);
    s.context.flush();
    s.context.say(
        fmt::format("{:.1f} ms over {} texts", watch.seconds() * 1e3, thousands(s.documents)));
  }
}

size_t answer_file(const QuerySession& s) {
  InputReader reader({s.options.queries}, s.input, s.context);
  std::vector<std::string> block;
  size_t count = 0;
  for (InputText row;;) {
    const bool more = reader.next(row);
    if (more && !row.text.empty()) block.push_back(std::move(row.text));
    if (!more || block.size() == 1024) {
      answer_block(s, block, true);
      count += block.size();
      block.clear();
    }
    if (!more) return count;
  }
}

}  // namespace

void take_positional_query(QueryOptions& options, std::vector<std::string>& words) {
  if (!options.query.empty() || !options.queries.empty() || words.empty()) return;
  std::error_code error;
  if (words.front() == "-" || std::filesystem::exists(words.front(), error)) return;
  options.query = {words.front()};
  words.erase(words.begin());
}

void check_queries(const QueryOptions& options, const Context& context) {
  if (!options.query.empty() && !options.queries.empty()) {
    throw_error(ErrorKind::usage, "--queries", "goes without --query");
  }
  if (options.query.empty() && options.queries.empty() && !context.interactive()) {
    throw_error(ErrorKind::usage, "--query", "none given, and there is no terminal to ask on");
  }
}

void run_queries(const QuerySession& s) {
  if (s.options.query.empty() && s.options.queries.empty()) return ask_and_answer(s);
  const Stopwatch watch;
  size_t count = s.options.query.size();
  if (s.options.queries.empty()) {
    answer_block(s, s.options.query, count > 1);
  } else {
    count = answer_file(s);
  }
  const double each = watch.seconds() * 1e3 / static_cast<double>(std::max<size_t>(1, count));
  s.context.flush();
  s.context.say(
      fmt::format("searched {} texts in {:.1f} ms a query", thousands(s.documents), each));
}

}  // namespace akin::cli
