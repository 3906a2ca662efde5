// akin search: the texts closest in meaning to a query, exactly, by comparing with every one.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iostream>

#include "base/error.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/corpus.h"
#include "cli/load.h"
#include "cli/terminal.h"
#include "cli/top_k.h"

namespace akin::cli {
namespace {

struct SearchOptions {
  std::vector<std::string> inputs;
  std::vector<std::string> query;
  std::string queries;
  size_t k = 10;
  Measure measure = Measure::automatic;
  CorpusOptions corpus;
  ModelOptions model;
  EncodeFlags encode;
  InputOptions input;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+inputs=FILE", inputs,
      "files or folders of texts, one document a row, or - for stdin; the first word is the query "
      "unless --query or --queries is given or it names a file");
    v("query=TEXT...", query, "what to look for");
    v("queries=FILE", queries, "a file of queries, one a row");
    v("k=N", k, "how many answers");
    v("measure=NAME", measure,
      "auto is what the model names; distances are shown negative, so that higher is more alike");
    corpus.fields(v);
    model.fields(v);
    encode.fields(v);
    input.fields(v);
  }
};

constexpr CommandInfo kInfo = {
    "search", "find the texts closest in meaning to a query",
    "Embeds every row of the files (or takes --vectors, or what --cache kept) and prints the best "
    "answers: score, place and "
    "text, tab-separated, after the query when there are several; --json prints one object a "
    "query. Without a query, on a "
    "terminal, it asks for one after another. Queries and documents get the model's own prompts "
    "for their side.",
    "akin search --model static-en-64 \"play music files\" packages.txt\n"
    "akin search --model ./bge-small-en --cache --k 5 --query \"how to reset a password\" docs/\n"
    "akin search --model static-zh-200 --queries questions.txt answers.jsonl.gz --json"};

struct Searcher {
  const SearchOptions& options;
  const Corpus& corpus;
  Encoder& encoder;
  EncodeOptions encode;
  Measure kind;
  ThreadPool& pool;
  Context& context;
  bool many = false;  // several queries: plain lines begin with theirs
};

std::string lower_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

// Where to begin showing a long text: a little before the first word of the query, at a character's
// first byte.
size_t snippet_begin(std::string_view text, std::string_view query, size_t columns) {
  if (text.size() <= columns) return 0;
  const std::string low = lower_ascii(text), words = lower_ascii(query);
  size_t best = std::string::npos;
  for (size_t at = 0; at < words.size();) {
    const size_t end = std::min(words.find(' ', at), words.size());
    if (end - at >= 4)
      best = std::min(best, low.find(std::string_view(words).substr(at, end - at)));
    at = end + 1;
  }
  if (best == std::string::npos || best < columns * 3 / 4) return 0;
  size_t begin = text.rfind(' ', best - std::min(best, columns / 4));
  if (begin == std::string_view::npos) begin = best;
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) ++begin;
  return begin;
}

std::string snippet(std::string_view text, std::string_view query, size_t columns) {
  const size_t begin = snippet_begin(text, query, columns);
  return begin == 0 ? clip(text, columns)
                    : "…" + clip(text.substr(begin), columns > 1 ? columns - 1 : 1);
}

void print_hits_json(const Searcher& s, const std::string& query, std::span<const Hit> hits,
                     double seconds) {
  nlohmann::ordered_json line = {
      {"query", query}, {"seconds", seconds}, {"hits", nlohmann::ordered_json::array()}};
  for (const auto& hit : hits) {
    const auto& document = s.corpus.documents[hit.row];
    nlohmann::ordered_json item = {{"score", static_cast<double>(hit.score)}};
    if (!document.id.empty()) item["id"] = document.id;
    item["file"] = s.corpus.files[document.file];
    item["line"] = document.line;
    item["text"] = document.text;
    line["hits"].push_back(std::move(item));
  }
  s.context.print_json(line);
}

void print_hits(const Searcher& s, const std::string& query, std::span<const Hit> hits) {
  const bool terminal = s.context.stdout_terminal();
  const size_t columns = terminal_columns();
  for (size_t rank = 0; rank < hits.size(); ++rank) {
    const auto& hit = hits[rank];
    const auto& document = s.corpus.documents[hit.row];
    if (!terminal) {
      if (s.many) s.context.print("{}\t", printable(query));
      s.context.print("{:.6f}\t{}\t{}\n", hit.score, printable(s.corpus.place(hit.row)),
                      printable(document.text));
      continue;
    }
    const size_t place = std::min<size_t>(30, columns / 4);
    const std::string score = fmt::format("{:6.3f}", hit.score);
    s.context.print("{:>3} {} {} {}\n", rank + 1,
                    s.context.color() ? heat_cell(score, hit.score) : score,
                    dim(fit(s.corpus.place(hit.row), place), s.context.color()),
                    snippet(document.text, query, columns - std::min(columns, place + 13)));
  }
}

void answer(const Searcher& s, std::span<const std::string> queries) {
  const std::vector<std::string_view> views(queries.begin(), queries.end());
  Mat<float> vectors(queries.size(), s.corpus.vectors.cols());
  s.encoder.encode(views, s.encode, vectors.view());
  for (size_t q = 0; q < queries.size(); ++q) {
    check_interrupted();
    const Stopwatch watch;
    const auto hits = top_k(s.pool, s.corpus.vectors.view(), vectors.row(q), s.kind, s.options.k);
    const double seconds = watch.seconds();
    if (s.context.json()) {
      print_hits_json(s, queries[q], hits, seconds);
    } else {
      if (s.context.stdout_terminal() && s.many)
        s.context.print("{}\n", bold(printable(queries[q]), s.context.color()));
      print_hits(s, queries[q], hits);
      if (s.context.stdout_terminal() && s.many) s.context.write("\n");
    }
  }
}

void ask_and_answer(const Searcher& s) {
  s.context.say("type a query; an empty line ends");
  std::string line;
  while (true) {
    std::cerr << "query> " << std::flush;
    const bool read = static_cast<bool>(std::getline(std::cin, line));
    check_interrupted();
    if (!read || line.empty()) break;
    const Stopwatch watch;
    answer(s, std::span(&line, 1));
    s.context.flush();
    s.context.say(fmt::format("{:.1f} ms over {} texts", watch.seconds() * 1e3,
                              thousands(s.corpus.documents.size())));
  }
}

// Takes the query out of the positional words where it is one.
void split_query(SearchOptions& options) {
  if (!options.query.empty() || !options.queries.empty() || options.inputs.empty()) return;
  std::error_code error;
  const auto& first = options.inputs.front();
  if (first == "-" || std::filesystem::exists(first, error)) return;
  options.query = {first};
  options.inputs.erase(options.inputs.begin());
}

void answer_file(Searcher& s) {
  InputReader reader({s.options.queries}, s.options.input, s.context);
  std::vector<std::string> block;
  for (InputText row;;) {
    const bool more = reader.next(row);
    if (more && !row.text.empty()) block.push_back(std::move(row.text));
    if (!more || block.size() == 1024) {
      answer(s, block);
      block.clear();
    }
    if (!more) return;
  }
}

int run(SearchOptions& options, Context& context) {
  split_query(options);
  if (!options.query.empty() && !options.queries.empty()) {
    throw_error(ErrorKind::usage, "--queries", "goes without --query");
  }
  const bool interactive = options.query.empty() && options.queries.empty();
  if (interactive && !context.interactive()) {
    throw_error(ErrorKind::usage, "--query", "none given, and there is no terminal to ask on");
  }
  const auto encoder = load_encoder(options.model);
  const auto& info = encoder->info();
  const auto document_options = encode_options(options.encode, Side::document, info, context);
  auto corpus = read_corpus(options.inputs, options.input, context);
  if (corpus.documents.empty()) throw_error(ErrorKind::usage, "input", "holds no texts to search");
  fill_vectors(corpus, options.corpus, *encoder, document_options, context);
  context.say(fmt::format("{} {}", corpus.origin,
                          speed_words(corpus.documents.size(), corpus.tokens, corpus.seconds)));

  ThreadPool pool(options.model.threads == 0 ? usable_cpus() : options.model.threads);
  Searcher searcher{options,
                    corpus,
                    *encoder,
                    encode_options(options.encode, Side::query, info, context),
                    resolve_measure(options.measure, info.similarity),
                    pool,
                    context};
  const Stopwatch watch;
  if (interactive) {
    ask_and_answer(searcher);
  } else if (!options.queries.empty()) {
    searcher.many = true;
    answer_file(searcher);
  } else {
    searcher.many = options.query.size() > 1;
    answer(searcher, options.query);
    const double each = watch.seconds() * 1e3 / static_cast<double>(options.query.size());
    context.flush();
    context.say(fmt::format("searched {} texts in {:.1f} ms a query",
                            thousands(corpus.documents.size()), each));
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_search_command() {
  return std::make_unique<CommandOf<SearchOptions>>(kInfo, run);
}

}  // namespace akin::cli
