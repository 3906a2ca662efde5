// akin search: the texts closest in meaning to a query: in files, exactly, by comparing with every
// one, or in an index that is kept (cli/index_search.h).
#include <fmt/format.h>

#include "base/error.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/corpus.h"
#include "cli/index_search.h"
#include "cli/load.h"
#include "cli/search_queries.h"
#include "cli/terminal.h"
#include "cli/top_k.h"

namespace akin::cli {
namespace {

struct SearchOptions {
  std::vector<std::string> inputs;
  QueryOptions queries;
  Measure measure = Measure::automatic;
  IndexSearchOptions index;
  CorpusOptions corpus;
  ModelOptions model;
  EncodeFlags encode;
  InputOptions input;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+inputs=FILE", inputs,
      "files of texts, one document a row; folders, in which each .txt and .md file is one "
      "document "
      "and no other file is read; or - for stdin; the first word is the query unless --query or "
      "--queries is given or it names a file");
    queries.fields(v);
    index.fields(v);
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
    "for their side.\n"
    "With --index it searches an index that akin index build made, with the model that the index "
    "names: by meaning, by words or both, through metadata filters.",
    "akin search --model static-en-64 \"play music files\" packages.txt\n"
    "akin search --model ./bge-small-en --cache --k 5 --query \"how to reset a password\" docs/\n"
    "akin search --model static-zh-200 --queries questions.txt answers.jsonl.gz --json\n"
    "akin search --index packages.index --mode hybrid --filter 'section = \"sound\"' \"play "
    "music\""};

ShownHit shown(const Corpus& corpus, const Hit& hit) {
  const auto& document = corpus.documents[hit.row];
  ShownHit out;
  out.score = static_cast<double>(hit.score);
  out.place = corpus.place(hit.row);
  out.text = document.text;
  if (!document.id.empty()) out.json["id"] = document.id;
  out.json["file"] = corpus.files[document.file];
  out.json["line"] = document.line;
  out.json["text"] = document.text;
  return out;
}

void search_files(SearchOptions& options, Context& context) {
  const auto encoder = load_encoder(options.model);
  const auto& info = encoder->info();
  const auto document_options = encode_options(options.encode, Side::document, info, context);
  auto corpus = read_corpus(options.inputs, options.input, context);
  if (corpus.documents.empty()) throw_error(ErrorKind::usage, "input", "holds no texts to search");
  fill_vectors(corpus, options.corpus, *encoder, document_options, context);
  context.say(fmt::format("{} {}", corpus.origin,
                          speed_words(corpus.documents.size(), corpus.tokens, corpus.seconds)));

  ThreadPool pool(options.model.threads == 0 ? usable_cpus() : options.model.threads);
  const auto query_options = encode_options(options.encode, Side::query, info, context);
  const Measure kind = resolve_measure(options.measure, info.similarity);
  const auto answer = [&](std::span<const std::string> queries) {
    const std::vector<std::string_view> views(queries.begin(), queries.end());
    Mat<float> vectors(queries.size(), corpus.vectors.cols());
    encoder->encode(views, query_options, vectors.view());
    std::vector<Answer> out(queries.size());
    for (size_t q = 0; q < queries.size(); ++q) {
      check_interrupted();
      const Stopwatch watch;
      const auto hits = top_k(pool, corpus.vectors.view(), vectors.row(q), kind, options.queries.k);
      out[q].seconds = watch.seconds();
      for (const auto& hit : hits) out[q].hits.push_back(shown(corpus, hit));
    }
    return out;
  };
  run_queries({options.queries, options.input, context, corpus.documents.size(), true, answer});
}

int run(SearchOptions& options, Context& context) {
  check_index_flags(options.index);
  const bool indexed = !options.index.index.empty();
  if (indexed && options.queries.query.empty() && options.queries.queries.empty()) {
    options.queries.query = std::move(options.inputs);  // every word is a query
    options.inputs.clear();
  }
  take_positional_query(options.queries, options.inputs);
  check_queries(options.queries, context);
  if (!indexed) {
    search_files(options, context);
    return 0;
  }
  const auto& corpus = options.corpus;
  if (!corpus.vectors.empty() || corpus.cache || options.measure != Measure::automatic) {
    throw_error(ErrorKind::usage, "--index",
                "holds vectors and knows its measure: it goes without --vectors, --cache and "
                "--measure");
  }
  if (!options.inputs.empty()) {
    throw_error(ErrorKind::usage, "--index", "goes without files; {} is one too many",
                quote(options.inputs.front()));
  }
  search_index(options.index, options.queries, options.model, options.encode,
               options.corpus.allow_mismatch, options.input, context);
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_search_command() {
  return std::make_unique<CommandOf<SearchOptions>>(kInfo, run);
}

}  // namespace akin::cli
