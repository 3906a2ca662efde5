// akin index: documents and their vectors kept on disk for akin search --index and akin serve.
#include "index/index.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "cli/command.h"
#include "cli/index_build.h"
#include "cli/index_input.h"
#include "cli/index_model.h"
#include "cli/index_search.h"
#include "cli/load.h"
#include "cli/terminal.h"

namespace akin::cli {
namespace {

namespace fs = std::filesystem;

enum class Kept : uint8_t { f32, f16 };
std::span<const std::string_view> choices(Kept) {
  static constexpr std::string_view kWords[] = {"f32", "f16"};
  return kWords;
}

struct IndexOptions {
  std::vector<std::string> words;
  ModelOptions model;
  EncodeFlags encode;
  IndexInputOptions input;
  std::optional<Kept> store;
  std::vector<std::string> codes;
  std::optional<bool> graph, words_kept;
  std::optional<size_t> links, build_breadth;
  size_t block = 0;
  std::string ids;
  bool allow_mismatch = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+inputs=WORDS", words,
      "build, add, delete, stats or compact; then the index's folder; then files and folders of "
      "documents, or - for stdin; for delete: ids");
    model.fields(v);
    encode.fields(v);
    input.fields(v);
    v("store=TYPE", store,
      "build: how vectors are kept; f16 halves the space, for 1e-3 of a score. Default f32.");
    v("codes=CODE", codes,
      "build: smaller codes beside the vectors for faster search, such as binary:256,int8:256: the "
      "code and how many first dims it covers");
    v("[no-]graph", graph, "build: keep a graph (HNSW) for approximate search");
    v("links=N", links, "build: links of a document in the graph (M). Default 16.");
    v("build-breadth=N", build_breadth,
      "build: candidates kept while linking (efConstruction). Default 200.");
    v("[no-]words", words_kept,
      "build: keep the words too, for --mode words and hybrid. Default on.");
    v("block=N", block, "documents embedded and stored at a time; 0 = about two seconds of work");
    v("ids=FILE", ids, "delete: a file of ids, one a line, or - for stdin");
    v("allow-mismatch", allow_mismatch, "add: take vectors of another model of the same width");
  }
};

constexpr CommandInfo kInfo = {
    "index", "keep documents and their vectors on disk, to be searched",
    "akin index build FOLDER FILE... embeds every row and stores it; what is there already with "
    "the "
    "same id, text and metadata is left as it is, a changed one is replaced. So a build that was "
    "stopped or killed goes on when the same command is run again.\n"
    "akin index add FOLDER FILE... does the same to an index that is there, with its own model.\n"
    "akin index delete FOLDER ID... takes documents out; akin index compact FOLDER gives their "
    "space "
    "back and brings the graph up to date.\n"
    "akin index stats FOLDER says what there is.\n"
    "A row's id is --id-field, else its file and line. The other fields of JSONL, CSV, TSV and "
    "Parquet rows are kept as metadata for --filter. One process writes at a time, any number "
    "search beside it.",
    "akin index build packages.index --model static-en-zh-256 --id-field id packages.jsonl\n"
    "akin index build big.index --model ./m --store f16 --codes binary:256,int8:256 "
    "texts/*.jsonl.gz\n"
    "akin index add packages.index more.jsonl --id-field id\n"
    "akin index delete packages.index vlc xmms2\n"
    "akin search --index packages.index \"play music files\""};

// As the help of the flags says.
static_assert(index::HnswSpec{}.links == 16 && index::HnswSpec{}.build_breadth == 200);

index::Code code_of(Kept kept) { return kept == Kept::f16 ? index::Code::f16 : index::Code::f32; }

index::IndexSpec make_spec(const IndexOptions& options, const EncoderInfo& info,
                           const EncodeOptions& encode) {
  index::IndexSpec spec;
  spec.vectors.dims = resolve_dims(info, encode);
  spec.vectors.full = code_of(options.store.value_or(Kept::f32));
  for (const auto& code : options.codes) {
    spec.vectors.extra.push_back(parse_code("--codes", code));
    if (spec.vectors.extra.back().dims > spec.vectors.dims) {
      throw_error(ErrorKind::usage, "--codes", "{} has more dims than the vectors' {}", quote(code),
                  spec.vectors.dims);
    }
  }
  spec.model = info.name;
  spec.model_source = model_source(options.model.model);
  spec.fingerprint = info.fingerprint;
  spec.precision = precision_name(info.precision);
  spec.pooling = options.model.pooling;
  spec.rope_base = options.model.rope_base;
  spec.similarity = encode.normalize ? "cosine" : "dot";
  spec.document_prompt = resolve_prompt(info, encode);
  spec.document_task = encode.task;
  spec.graph = options.graph.value_or(spec.graph);
  if (!spec.graph && (options.links || options.build_breadth)) {
    throw_error(ErrorKind::usage, options.links ? "--links" : "--build-breadth",
                "is about the graph; add --graph, or leave it out");
  }
  spec.hnsw.links = options.links.value_or(spec.hnsw.links);
  spec.hnsw.build_breadth = options.build_breadth.value_or(spec.hnsw.build_breadth);
  spec.words = options.words_kept.value_or(spec.words);
  return spec;
}

// Flags of build that an index which is there contradicts.
void check_shape(const IndexOptions& options, const index::IndexSpec& spec) {
  const auto differs = [](std::string_view flag, std::string_view how) {
    throw_error(ErrorKind::usage, flag, "the index was built {}; build another folder", how);
  };
  const auto check_number = [&](const char* flag, std::optional<size_t> asked, size_t there) {
    if (asked && *asked != there) differs(flag, fmt::format("with {}", there));
  };
  const auto check_switch = [&](const char* flag, std::optional<bool> asked, bool there) {
    if (asked && *asked != there) {
      differs(fmt::format("--{}{}", there ? "no-" : "", flag), there ? "with it" : "without it");
    }
  };
  check_switch("graph", options.graph, spec.graph);
  check_switch("words", options.words_kept, spec.words);
  check_number("--links", options.links, spec.hnsw.links);
  check_number("--build-breadth", options.build_breadth, spec.hnsw.build_breadth);
  if (options.store && code_of(*options.store) != spec.vectors.full) {
    differs("--store", fmt::format("with vectors in {}", index::code_name(spec.vectors.full)));
  }
  for (const auto& code : options.codes) {
    const auto parsed = parse_code("--codes", code);
    if (std::count(spec.vectors.extra.begin(), spec.vectors.extra.end(), parsed) == 0) {
      differs(fmt::format("--codes {}", code), "without it");
    }
  }
}

bool is_index(const fs::path& folder) {
  try {
    index::Index::open(folder, false);
    return true;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found) return false;
    throw;
  }
}

nlohmann::ordered_json stats_json(const index::Index& index) {
  const auto& spec = index.spec();
  const auto stats = index.stats();
  std::vector<std::string> codes;
  for (const auto& code : spec.vectors.extra) {
    codes.push_back(fmt::format("{}:{}", index::code_name(code.code), code.dims));
  }
  return {{"documents", stats.documents},
          {"rows", stats.rows},
          {"removed_rows", stats.removed_rows},
          {"model", spec.model},
          {"model_source", spec.model_source},
          {"fingerprint", spec.fingerprint},
          {"precision", spec.precision},
          {"similarity", spec.similarity},
          {"document_prompt", spec.document_prompt},
          {"document_task", spec.document_task},
          {"dims", spec.vectors.dims},
          {"store", index::code_name(spec.vectors.full)},
          {"codes", codes},
          {"graph", spec.graph},
          {"words", spec.words},
          {"vector_bytes", stats.vector_bytes},
          {"code_bytes", stats.code_bytes},
          {"database_bytes", stats.database_bytes},
          {"graph_bytes", stats.graph_bytes}};
}

void say_counts(const IndexOptions& options, const std::string& folder, const FillCounts& counts,
                const index::Index& index, Context& context) {
  if (counts.bad > 0) {
    context.warn(fmt::format("akin: warning: {} bad rows skipped", thousands(counts.bad)));
  }
  if (counts.empty > 0) {
    context.warn(
        fmt::format("akin: warning: {} rows without text left out", thousands(counts.empty)));
  }
  if (counts.truncated > 0) {
    context.warn(
        fmt::format("akin: warning: {} documents were truncated", thousands(counts.truncated)));
  }
  if (counts.repeated > 0) {
    context.warn(fmt::format("akin: warning: {} ids came more than once; the last row stays{}",
                             thousands(counts.repeated),
                             options.input.input.id_field.empty() ? "" : " (--id-field)"));
  }
  nlohmann::ordered_json facts = {{"documents", index.stats().documents},
                                  {"added", counts.added},
                                  {"replaced", counts.replaced},
                                  {"unchanged", counts.same},
                                  {"tokens", counts.tokens},
                                  {"seconds", counts.seconds}};
  if (context.json()) return context.print_json(facts);
  context.say(fmt::format("{}: {} documents ({} new, {} replaced, {} as they were)", folder,
                          thousands(index.stats().documents), thousands(counts.added),
                          thousands(counts.replaced), thousands(counts.same)));
  const uint64_t embedded = counts.added + counts.replaced;
  if (embedded > 0) {
    context.say(fmt::format("embedded and stored {}",
                            speed_words(embedded, counts.tokens, counts.seconds)));
  }
}

void fill(IndexOptions& options, const std::string& folder, std::vector<std::string> files,
          index::Index& index, Encoder& encoder, const EncodeOptions& encode, Context& context) {
  IndexInput input(std::move(files), options.input, context);
  FillCounts counts;
  try {
    counts = fill_index(index, encoder, encode, input, options.block, context);
    index.update_graph([&](const Progress& step) { context.progress(step); });
  } catch (const Error& error) {
    context.end_progress();
    const uint64_t documents = index.stats().documents;
    if (documents == 0) throw;
    const auto words = fmt::format("holds {} documents; the same command goes on from there",
                                   thousands(documents));
    if (error.kind() == ErrorKind::interrupted) {
      throw_error(ErrorKind::interrupted, folder, "interrupted; {}", words);
    }
    context.warn(fmt::format("akin: {} {}", folder, words));
    throw;
  }
  context.end_progress();
  say_counts(options, folder, counts, index, context);
}

int build(IndexOptions& options, const std::string& folder, std::vector<std::string> files,
          Context& context) {
  if (is_index(folder)) {
    const auto index = index::Index::open(folder, true);
    check_shape(options, index->spec());
    const auto encoder = open_index_model(*index, options.model, options.allow_mismatch);
    const auto encode = index_document_options(*index, options.encode, encoder->info(), context);
    fill(options, folder, std::move(files), *index, *encoder, encode, context);
    return 0;
  }
  const auto encoder = load_encoder(options.model);
  const auto& info = encoder->info();
  if (info.similarity == "dot" && !info.normalizes) options.encode.normalize = false;
  const auto encode = encode_options(options.encode, Side::document, info, context);
  const IndexInput check(files, options.input, context);  // before a folder is made
  auto index = index::Index::create(folder, make_spec(options, info, encode));
  try {
    fill(options, folder, std::move(files), *index, *encoder, encode, context);
  } catch (...) {
    // An empty index would only bind the folder to this model and these settings.
    const bool nothing = index->stats().documents == 0;
    index.reset();
    std::error_code ignored;
    if (nothing) fs::remove_all(folder, ignored);
    throw;
  }
  return 0;
}

int add(IndexOptions& options, const std::string& folder, std::vector<std::string> files,
        Context& context) {
  if (!is_index(folder)) {
    throw_error(ErrorKind::not_found, folder, "holds no index; make one with akin index build");
  }
  return build(options, folder, std::move(files), context);
}

int remove(const IndexOptions& options, const std::string& folder, std::vector<std::string> ids,
           Context& context) {
  if (!options.ids.empty()) {
    InputOptions lines;
    lines.input_format = store::TextFormat::lines;
    InputReader reader({options.ids}, lines, context);
    for (InputText row; reader.next(row);) {
      if (!row.text.empty()) ids.push_back(std::move(row.text));
    }
  }
  if (ids.empty() && options.ids.empty()) {
    throw_error(ErrorKind::usage, "delete", "name ids, or a file of them by --ids");
  }
  const auto index = index::Index::open(folder, true);
  const size_t removed = index->remove(ids);
  if (context.json()) {
    context.print_json(
        {{"asked", ids.size()}, {"removed", removed}, {"documents", index->stats().documents}});
  } else {
    context.say(fmt::format("{}: {} of {} taken out, {} documents left", folder, thousands(removed),
                            thousands(ids.size()), thousands(index->stats().documents)));
  }
  return 0;
}

int stats(const std::string& folder, Context& context) {
  const auto index = index::Index::open(folder, false);
  const auto found = stats_json(*index);
  if (context.json()) {
    context.print_json(found);
    return 0;
  }
  const auto& spec = index->spec();
  const auto now = index->stats();
  const auto line = [&](std::string_view name, const std::string& value) {
    context.print("{:<12} {}\n", name, printable(value));
  };
  line("documents", thousands(now.documents));
  if (now.removed_rows > 0) {
    line("removed", thousands(now.removed_rows) + " (akin index compact gives their space back)");
  }
  line("model",
       fmt::format("{}{} (fingerprint {})", spec.model,
                   spec.precision.empty() ? "" : " in " + spec.precision, spec.fingerprint));
  if (!spec.document_prompt.empty()) line("prompt", spec.document_prompt);
  if (!spec.document_task.empty()) line("task", spec.document_task);
  line("vectors",
       fmt::format("{} dims, {}, {}: {}", spec.vectors.dims, index::code_name(spec.vectors.full),
                   spec.similarity, size_words(now.vector_bytes)));
  if (!spec.vectors.extra.empty()) {
    line("codes",
         fmt::format("{}: {}", fmt::join(found["codes"].get<std::vector<std::string>>(), ", "),
                     size_words(now.code_bytes)));
  }
  if (spec.graph) line("graph", size_words(now.graph_bytes));
  line("database", fmt::format("{}{}", size_words(now.database_bytes),
                               spec.words ? ", with words" : ", without words"));
  return 0;
}

int compact(const std::string& folder, Context& context) {
  const auto index = index::Index::open(folder, true);
  const auto before = index->stats();
  index->compact([&](const Progress& step) { context.progress(step); });
  context.end_progress();
  const auto after = index->stats();
  const auto sum = [](const index::IndexStats& s) {
    return s.vector_bytes + s.code_bytes + s.database_bytes + s.graph_bytes;
  };
  if (context.json()) {
    context.print_json(stats_json(*index));
  } else {
    context.say(fmt::format("{}: {} removed rows dropped, {} documents; {} before, {} now", folder,
                            thousands(before.removed_rows), thousands(after.documents),
                            size_words(sum(before)), size_words(sum(after))));
  }
  return 0;
}

int run(IndexOptions& options, Context& context) {
  constexpr std::string_view kActions[] = {"build", "add", "delete", "stats", "compact"};
  auto& words = options.words;
  const std::string action = words.empty() ? "" : words[0];
  if (std::find(std::begin(kActions), std::end(kActions), action) == std::end(kActions)) {
    throw_error(ErrorKind::usage, "index", "what to do comes first: {}; got {}{}",
                fmt::join(kActions, ", "), action.empty() ? "nothing" : quote(action),
                did_you_mean(action, kActions));
  }
  if (words.size() < 2) {
    throw_error(ErrorKind::usage, "index", "name the folder of the index after {}", action);
  }
  std::string folder = words[1];
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  std::vector<std::string> rest(words.begin() + 2, words.end());
  if (action == "build") return build(options, folder, std::move(rest), context);
  if (action == "add") return add(options, folder, std::move(rest), context);
  if (action == "delete") return remove(options, folder, std::move(rest), context);
  if (!rest.empty()) {
    throw_error(ErrorKind::usage, "index", "{} takes one folder; {} is one too many", action,
                quote(rest.front()));
  }
  return action == "stats" ? stats(folder, context) : compact(folder, context);
}

}  // namespace

std::unique_ptr<Command> make_index_command() {
  return std::make_unique<CommandOf<IndexOptions>>(kInfo, run);
}

}  // namespace akin::cli
