// akin prep: raw pairs in, clean records out, with a report of what each filter removed.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/terminal.h"
#include "data/chain.h"
#include "data/report_html.h"
#include "data/tally.h"

namespace akin::cli {
namespace {

struct PrepOptions {
  std::vector<std::string> inputs;
  std::string out, work, report;
  data::ReadOptions read;
  std::vector<std::string> filters = {"normalise", "length", "dedup"};
  data::FilterOptions filter;
  std::vector<std::string> list_removed = {"contamination"};
  size_t threads = 0;
  ModelOptions model;
  std::optional<std::string> query_prompt, document_prompt;
  bool check = false, list = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+inputs=FILE", inputs,
      "JSONL, JSON, CSV, TSV (also .gz and .zst), Parquet, or BEIR folders");
    v("out=FILE", out, "where the records that stay go, as JSONL");
    v("filters=NAME", filters,
      "the chain, in this order; default normalise,length,dedup, with language before "
      "dedup when --languages is given and contamination at the end when --eval-texts is");
    v("list", list, "print the filters");
    v("check", check,
      "print the layout of each file and the first five records that stay; write "
      "nothing");
    v("map=FIELD=COLUMN", read.map,
      "which column holds which field (query, positive, negatives, label, scores, task, source; "
      "query and class for texts with a class), where the names are not known ones");
    v("labels=WORD=NUMBER", read.labels,
      "numbers for labels that are words, such as entailment=1,neutral=0.5,contradiction=0; "
      "WORD=drop leaves such rows out");
    v("split=NAME", read.split, "of a BEIR folder");
    v("task=NAME", read.task, "for records that name no task");
    v("source=NAME", read.source, "for records that name no source, instead of the file's name");
    v("skip-bad-rows", read.skip_bad_rows,
      "count rows that cannot be read and go on, instead of stopping at the first");
    v("min-chars=N", filter.min_chars, "length: characters that query and positive must have");
    v("max-chars=N", filter.max_chars, "length: characters that they may have; 0 = any number");
    v("overlap=SHARE", filter.overlap,
      "overlap: remove a pair when at least this share of the shorter text's words is in the "
      "longer");
    v("overlap-words=N", filter.overlap_words, "overlap: and at least this many of its words");
    v("languages=CODE", filter.languages,
      "language: those that stay, such as en,zh; both query and positive are judged");
    v("language-model=FILE", filter.language_model,
      "language: a fastText model, such as lid.176.ftz, instead of CLD2, which is built in");
    v("language-confidence=SHARE", filter.language_confidence,
      "language: below this confidence a text counts as unclear");
    v("drop-unclear", filter.drop_unsure,
      "language: remove texts whose language is not clear (short ones, numbers), instead of "
      "keeping and counting them");
    v("near-similarity=J", filter.near_similarity,
      "near: Jaccard similarity from which two queries, and their positives, are nearly equal");
    v("near-words=N", filter.near_words, "near: words of a shingle");
    v("eval-texts=FILE", filter.eval_texts,
      "contamination: files and folders of evaluation sets, also .txt with a text a line");
    v("eval-columns=NAME", filter.eval_columns,
      "contamination: their columns that hold texts, where the names are not known ones");
    v("eval-words=N", filter.eval_words,
      "contamination: words in a row that no evaluation text may share");
    v("eval-near=J", filter.eval_near,
      "contamination: Jaccard similarity of words from which a text is nearly equal to an "
      "evaluation text; 0 = only equal texts and words in a row count");
    v("model=MODEL", model.model,
      "similarity, consistency, margin: the model that judges: a folder, a shipped model, or "
      "ORG/NAME in the Hugging Face cache");
    v("dtype=TYPE", model.dtype, "precision of the model: f32 is exact, int8 is the fast path");
    v("query-prompt=TEXT", query_prompt,
      "what goes before each query for the model; default its own prompt for queries");
    v("document-prompt=TEXT", document_prompt,
      "what goes before each document for the model; default its own prompt for documents");
    v("min-similarity=COSINE", filter.min_similarity,
      "similarity: below this cosine of query and positive a pair goes; it depends on the model");
    v("pool=N", filter.pool,
      "consistency: passages of the same source that stand against the positive");
    v("top=K", filter.top, "consistency: the place among them that the positive must reach");
    v("seed=N", filter.seed, "consistency: which passages");
    v("margin=DIFFERENCE", filter.margin,
      "margin: by how much a negative must be less similar to the query than the positive");
    v("keep-without-negatives", filter.keep_without_negatives,
      "margin: keep records that have lost all their negatives, as pairs");
    v("list-removed=NAME", list_removed,
      "filters whose removals are listed in OUT.removed.jsonl; default contamination");
    v("report=FILE", report, "where the JSON report goes; default OUT.report.json");
    v("work=FOLDER", work,
      "for unfinished work, from which an interrupted run goes on; default OUT.work");
    v("threads=N", threads, "threads; 0 = all this process may use");
  }
};

constexpr CommandInfo kInfo = {
    "prep", "clean raw pairs into training records",
    "Reads pairs by the names of their fields (query and positive, FlagEmbedding's query, pos and "
    "neg, the columns of sentence-transformers and uniem, BEIR folders, or what --map says), runs "
    "them through a chain of filters, and writes what stays as JSONL of query, positive, "
    "negatives, label, scores, task and source. Single texts, for pre-training, are read from a "
    "column text, sentence or content, or the lines of a .txt file, and written as text; with a "
    "column label, label_text, class or category beside it they are texts with a class, for "
    "losses over classes, and written as text and label.\n"
    "Memory does not grow with the data: dedup keeps its keys on disk. A run that was stopped goes "
    "on behind its last finished pass when the same command is given again, and ends in the same "
    "bytes. The report says what each filter removed, with samples.",
    "akin prep --check pairs.jsonl.gz\n"
    "akin prep raw/*.jsonl.gz --out clean.jsonl --eval-texts sts.jsonl.gz,scifact\n"
    "akin prep faq.csv --map query=frage,positive=antwort --filters normalise,overlap,dedup --out "
    "faq.jsonl"};

constexpr size_t kExamples = 5;

void print_filters(Context& context) {
  for (const auto& info : data::filter_infos()) {
    if (context.json()) {
      context.print_json({{"name", info.name}, {"summary", info.summary}});
    } else {
      context.print("{}  {}\n", fit(info.name, 14), info.summary);
    }
  }
}

void print_example(const data::Record& record, size_t number, Context& context) {
  const auto line = [&](std::string_view field, std::string_view text) {
    context.print("  {}  {}\n", fit(field, 9), clip(text, 160));
  };
  context.write(bold(fmt::format("{}  {}", number, printable(record.source)), context.color()) +
                "\n");
  line(record.is_pair() ? "query" : "text", record.query);
  if (record.is_pair()) line("positive", record.positive);
  if (record.shape == data::RowShape::classes) line("class", record.positive);
  for (const auto& negative : record.negatives) line("negative", negative);
  if (record.label) line("label", fmt::format("{}", *record.label));
  if (!record.scores.empty()) line("scores", fmt::format("{}", fmt::join(record.scores, ", ")));
  if (!record.task.empty()) line("task", record.task);
}

int check(const data::ChainOptions& options, Context& context) {
  const auto preview = data::preview_chain(options, kExamples);
  if (context.json()) {
    for (const auto& record : preview.records) context.print_json(data::record_json(record));
    return 0;
  }
  for (size_t i = 0; i < preview.layouts.size(); ++i) {
    context.print("{}: {}\n", printable(options.inputs[i]), printable(preview.layouts[i]));
  }
  context.write("\n");
  for (size_t i = 0; i < preview.records.size(); ++i) {
    print_example(preview.records[i], i + 1, context);
  }
  context.say(fmt::format("{} of the first {} records stay", preview.records.size(),
                          thousands(preview.judged)));
  return 0;
}

std::string share(uint64_t part, uint64_t whole) {
  return whole == 0 ? "-"
                    : fmt::format("{:.2f}%",
                                  100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

void warn_bad_rows(const nlohmann::ordered_json& report, Context& context) {
  for (const auto& input : report.at("inputs")) {
    const auto bad = input.at("bad_rows").get<uint64_t>();
    if (bad == 0) continue;
    const auto& first = input.at("first_bad_rows").at(0);
    context.warn(
        fmt::format("{}: {} of {} rows could not be read and were skipped; the first is "
                    "{}: {}",
                    printable(input.at("path").get<std::string>()), thousands(bad),
                    thousands(input.at("rows").get<uint64_t>()),
                    first.at("where").get<std::string>(), first.at("message").get<std::string>()));
  }
}

void say_dropped_rows(const nlohmann::ordered_json& report, Context& context) {
  for (const auto& input : report.at("inputs")) {
    const auto dropped = input.at("dropped_rows").get<uint64_t>();
    if (dropped == 0) continue;
    context.say(fmt::format("{}: {} of {} rows were dropped by their label (--labels)",
                            printable(input.at("path").get<std::string>()), thousands(dropped),
                            thousands(input.at("rows").get<uint64_t>())));
  }
}

void print_report(const nlohmann::ordered_json& report, Context& context) {
  context.write(bold(fmt::format("{}  {:>13}  {:>13}  {:>7}  why", fit("filter", 14), "in",
                                 "removed", "share"),
                     context.color()) +
                "\n");
  for (const auto& filter : report.at("filters")) {
    const auto in = filter.at("in").get<uint64_t>(), removed = filter.at("removed").get<uint64_t>();
    std::string why;
    for (const auto& [name, reason] : filter.at("reasons").items()) {
      why += fmt::format("{}{} {}", why.empty() ? "" : ", ", name,
                         thousands(reason.at("count").get<uint64_t>()));
    }
    if (filter.contains("notes")) {
      for (const auto& [name, count] : filter.at("notes").items()) {
        why += fmt::format("{}kept: {} {}", why.empty() ? "" : ", ", name,
                           thousands(count.get<uint64_t>()));
      }
    }
    if (const auto changed = filter.at("changed").get<uint64_t>(); changed > 0) {
      why += fmt::format("{}changed {}", why.empty() ? "" : ", ", thousands(changed));
    }
    context.print("{}  {:>13}  {:>13}  {:>7}  {}\n", fit(filter.at("name").get<std::string>(), 14),
                  thousands(in), thousands(removed), share(removed, in), why);
  }
  const auto in = report.at("records_in").get<uint64_t>();
  const auto out = report.at("records_out").get<uint64_t>();
  context.print("{} of {} records stay ({})\n", thousands(out), thousands(in), share(out, in));
}

void resolve(PrepOptions& options) {
  constexpr std::string_view kContamination = "contamination";
  auto& filters = options.filters;
  constexpr std::string_view kLanguage = "language";
  if (!options.filter.languages.empty() &&
      std::find(filters.begin(), filters.end(), kLanguage) == filters.end()) {
    filters.emplace(std::find(filters.begin(), filters.end(), "dedup"), kLanguage);
  }
  if (!options.filter.eval_texts.empty() &&
      std::find(filters.begin(), filters.end(), kContamination) == filters.end()) {
    filters.emplace_back(kContamination);
  }
  if (options.report.empty()) options.report = options.out + ".report.json";
}

// The encoder of --model with the prompts of each side; null when no filter asks one.
std::unique_ptr<Encoder> open_encoder(PrepOptions& options, Context& context) {
  if (options.model.model.empty()) return nullptr;
  options.model.threads = options.threads;
  auto encoder = load_encoder(options.model);
  auto sides =
      side_options({}, options.query_prompt, options.document_prompt, encoder->info(), context);
  options.filter.query_encoding = std::move(sides.query);
  options.filter.document_encoding = std::move(sides.document);
  options.filter.encoder = encoder.get();
  return encoder;
}

int run(PrepOptions& options, Context& context) {
  if (options.list) {
    print_filters(context);
    return 0;
  }
  if (options.inputs.empty()) {
    throw_error(ErrorKind::usage, "FILE", "no input is named; see akin help prep");
  }
  resolve(options);
  const auto encoder = open_encoder(options, context);
  data::ChainOptions chain;
  chain.inputs = options.inputs;
  chain.read = options.read;
  chain.read.any_shape = true;
  chain.filters = options.filters;
  chain.filter = options.filter;
  chain.list_removed = options.list_removed;
  chain.out = options.out;
  chain.work = options.work;
  chain.threads = options.threads;
  if (options.check) return check(chain, context);
  if (options.out.empty()) {
    throw_error(ErrorKind::usage, "--out",
                "name a file for the records that stay, or pass --check");
  }
  check_output("--out", options.out);
  check_output("--report", options.report);
  const auto report = data::run_chain(chain, [&](const Progress& now) { context.progress(now); });
  context.end_progress();
  write_file(options.report,
             report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  write_file(options.out + ".report.html", data::report_html(report));
  context.write_record(options.out, {{"records_in", report.at("records_in")},
                                     {"records_out", report.at("records_out")}});
  warn_bad_rows(report, context);
  say_dropped_rows(report, context);
  if (context.json()) {
    context.print_json(report);
    return 0;
  }
  print_report(report, context);
  const auto kept = report.at("passes_kept").get<size_t>();
  const auto seconds = report.at("seconds").get<double>();
  context.say(fmt::format("{} in {:.1f} s ({} records/s){}; report in {} and {}.report.html",
                          options.out, seconds,
                          rate(report.at("records_in").get<double>() / std::max(seconds, 1e-9)),
                          kept > 0 ? fmt::format(", the first {} of {} passes from before", kept,
                                                 report.at("passes").get<size_t>())
                                   : "",
                          options.report, options.out));
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_prep_command() {
  return std::make_unique<CommandOf<PrepOptions>>(kInfo, run);
}

}  // namespace akin::cli
