// akin mine: hard negatives for training rows, with guards against false ones.
#include "mine/mine.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/failure_cases.h"
#include "cli/load.h"
#include "cli/mine_inputs.h"
#include "cli/scratch_folder.h"
#include "cli/terminal.h"
#include "mine/report_html.h"
#include "store/dataset_folder.h"
#include "store/rows.h"
#include "text/utf8.h"

namespace akin::cli {
namespace {

namespace fs = std::filesystem;

struct MineFlags {
  std::vector<std::string> inputs, corpus;
  std::string out, report, work;
  data::ReadOptions read;
  double min_label = 1e-6;
  ModelOptions model;
  std::string teacher;
  Precision teacher_dtype = Precision::f32;
  std::optional<std::string> query_prompt, document_prompt;
  std::optional<std::string> teacher_query_prompt, teacher_document_prompt;
  size_t dims = 0;
  std::string range = "2-200";
  mine::SelectOptions select;
  mine::GuardOptions guards;
  mine::OutputFormat format = mine::OutputFormat::flagembedding;
  bool scores = false, check = false;
  std::vector<std::string> failure_cases;
  std::string eval_set;
  double hold_out = 0.1;

  template <typename Visitor>
  void fields(Visitor& v) {
    v("+inputs=FILE", inputs,
      "rows with a query and positives: FlagEmbedding's query, pos and neg, or whatever akin prep "
      "reads: JSONL, JSON, CSV, TSV (also .gz and .zst), Parquet, BEIR folders");
    v("out=FILE", out, "where the rows go with their negatives, as JSONL");
    model.fields(v);
    v("corpus=FILE", corpus,
      "more documents to search besides the positives and negatives of the input: files with a "
      "text a row (.txt, or a column text, with title if there is one), or BEIR folders");
    v("range=FROM-TO", range,
      "the window of ranks: the best FROM documents are passed over, ranks up to TO are looked at");
    v("negatives=N", select.negatives, "how many a row gets");
    v("sampling=HOW", select.sampling,
      "of those in the window that pass: the best ranked, any, one from each of N equal stretches "
      "of ranks; or any document of the whole corpus, without a search");
    v("seed=N", select.seed, "of every random choice");
    v("share=SHARE", guards.share,
      "a negative must score below this share of the positive's score; 0 = no such rule. For "
      "models whose cosines are all high, such as 0.7 to 1, take a margin instead");
    v("margin=DIFFERENCE", guards.margin,
      "a negative must score below the positive by more than this");
    v("max-score=SCORE", guards.max_score, "a negative must score below this");
    v("min-score=SCORE", guards.min_score, "a negative must not score below this: no easy ones");
    v("teacher=MODEL", teacher,
      "a second model that scores query, positives and candidates; the rules above go by it");
    v("teacher-dtype=TYPE", teacher_dtype, "precision of the teacher");
    v("rules-by=WHO", select.judge,
      "whose scores the rules go by where there is a teacher; the other one is asked for the "
      "estimate of false negatives");
    v("near=J", guards.near,
      "Jaccard similarity of words, rare ones weighing more, from which texts count as the same: "
      "candidates with answers "
      "and with the query, queries with queries; above 1 = off");
    v("overlap=SHARE", guards.overlap,
      "share of a text's pairs of words from which it counts as a piece of another; above 1 = off");
    v("alike=COSINE", guards.alike,
      "cosine from which two documents, or two queries, count as the same; above 1 = off");
    v("together=SHARE", guards.together,
      "nearness to the query and an answer at once, as a share of theirs to each other, from which "
      "a document counts as an answer in other words; above 1 = off");
    v("keep-negatives", select.keep_negatives,
      "the negatives that a row has stay in front and count among the N");
    v("short-rows=HOW", select.short_rows,
      "rows with fewer than N negatives: keep those that have one, fill up with random documents "
      "that pass the guards, or drop them");
    v("format=FORMAT", format,
      "a line a row (query, pos, neg), or a line a positive (query, positive, negatives)");
    v("scores", scores, "write scores of positives and negatives, too, by whom the rules go by");
    v("check", check, "mine for the first rows, print five of them, write nothing");
    v("query-prompt=TEXT", query_prompt,
      "what goes before each query; default the model's own prompt for queries");
    v("document-prompt=TEXT", document_prompt,
      "what goes before each document; default the model's own prompt for documents");
    v("teacher-query-prompt=TEXT", teacher_query_prompt, "the same for the teacher");
    v("teacher-document-prompt=TEXT", teacher_document_prompt, "the same for the teacher");
    v("dims=N", dims, "search with the first N numbers of each vector (Matryoshka); 0 = all");
    v("map=FIELD=COLUMN", read.map,
      "which column holds which field (query, positive, negatives, label, scores, task, source), "
      "where the names are not known ones");
    v("split=NAME", read.split, "of a BEIR folder");
    v("min-label=X", min_label,
      "in rows with a label: from here on the two texts belong together; at 0 or below the second "
      "is a negative, between the two it is neither");
    v("skip-bad-rows", read.skip_bad_rows,
      "count rows that cannot be read and go on, instead of stopping at the first");
    v("failure-cases=CASE,...", failure_cases,
      "no search and no model: rows that show where models go wrong, made of the input's own rows "
      "and documents: " +
          failure_case_list() + "; or all. A line of query, pos, neg for each row and case");
    v("eval-set=FOLDER", eval_set,
      "failure cases: the rows held out go there, with a tasks.toml for akin eval; without --out "
      "all rows do");
    v("hold-out=SHARE", hold_out, "failure cases: share of the rows for --eval-set");
    v("report=FILE", report, "where the JSON report goes; default OUT.report.json");
    v("work=FOLDER", work,
      "for unfinished work, from which an interrupted run goes on; default OUT.work. A folder that "
      "is named here keeps its vectors, for runs with other rules over the same texts");
  }
};

constexpr CommandInfo kInfo = {
    "mine", "find hard negatives for training pairs",
    "Searches every query exactly among the documents (the positives and negatives of the input, "
    "the whole corpus of a BEIR folder, and --corpus), takes a window of ranks, cuts what is "
    "likely an answer, and writes the rows with their negatives.\n"
    "Guards: never a text that answers the same or a nearly equal query, nor one with nearly the "
    "same words, nor a piece of one, nor one with nearly the same vector, nor the query itself; "
    "and rules on the score relative to the positive's. The report says what each guard removed "
    "and how many false negatives are left, as far as that can be told.\n"
    "A run that was stopped goes on when the same command is given again, and ends in the same "
    "bytes. The lowest score among a row's positives is what the rules compare with.",
    "akin mine pairs.jsonl --model BAAI/bge-small-en-v1.5 --out mined.jsonl --check\n"
    "akin mine pairs.jsonl --model static-en-zh-256 --teacher BAAI/bge-base-en-v1.5 --out "
    "mined.jsonl --scores\n"
    "akin mine scifact --split train --model static-en-64 --negatives 7 --sampling random --out "
    "mined.jsonl\n"
    "akin mine faq.csv --map query=frage,positive=antwort --corpus docs.txt --model static-en-64 "
    "--out faq.jsonl\n"
    "akin mine pairs.jsonl --failure-cases all --out failures.jsonl --eval-set failures"};

constexpr size_t kCheckRows = 2000, kCheckDocuments = 20'000, kExamples = 5;

void read_range(const std::string& text, mine::SelectOptions& out) {
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, out.skip);
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == '-') {
    const auto last = std::from_chars(first.ptr + 1, end, out.last);
    if (last.ec == std::errc() && last.ptr == end) return;
  }
  throw_error(ErrorKind::usage, "--range", "{} is not FROM-TO, such as 2-200", quote(text));
}

// The texts of one file with the columns that documents have.
class DocumentRows {
 public:
  explicit DocumentRows(const fs::path& path) {
    const std::string columns[] = {"title?", "text|document|passage|content|sentence"};
    rows_ = store::open_rows(path, columns);
  }
  bool next(std::string& out) {
    store::Value values[2];
    if (!rows_->next(values)) return false;
    out.clear();
    for (size_t i = 0; i < 2; ++i) {
      if (values[i].is_null()) continue;
      const auto text = store::as_text(values[i], *rows_, i == 0 ? "title" : "text", scratch_);
      if (text.empty()) continue;
      if (!out.empty()) out += ' ';
      text::repair_utf8(text, out);
    }
    return true;
  }

 private:
  std::unique_ptr<store::RowReader> rows_;
  std::string scratch_;
};

mine::TextStream limited(mine::TextStream stream, size_t most) {
  return [stream = std::move(stream), left = most](std::string& text) mutable {
    if (left == 0) return false;
    --left;
    return stream(text);
  };
}

mine::TextStream open_rows_stream(const fs::path& path) {
  return
      [rows = std::make_shared<DocumentRows>(path)](std::string& text) { return rows->next(text); };
}

mine::TextStream open_lines_stream(const fs::path& path) {
  data::ReadOptions read;
  read.single = true;
  auto opened = std::make_shared<data::OpenedRecords>(data::open_records(path, read));
  return [opened, record = data::Record()](std::string& text) mutable {
    if (!opened->reader->next(record)) return false;
    text = std::move(record.query);
    return true;
  };
}

bool is_text_file(const fs::path& path) {
  fs::path name = path.filename();
  if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
  return name.extension() == ".txt";
}

// The documents of files and BEIR folders.
void add_documents(const std::string& path, std::vector<mine::TextStream>& out) {
  if (!fs::exists(path)) throw_error(ErrorKind::not_found, path, "no such file or folder");
  if (fs::is_directory(path)) {
    for (const auto& file : store::read_dataset_folder(path).files("corpus", "corpus", true)) {
      out.push_back(open_rows_stream(file));
    }
  } else if (is_text_file(path)) {
    out.push_back(open_lines_stream(path));
  } else {
    out.push_back(open_rows_stream(path));
  }
}

struct LoadedModel {
  std::unique_ptr<Encoder> encoder;
  mine::Model model;
};

LoadedModel open_model(const ModelOptions& model, const std::optional<std::string>& query,
                       const std::optional<std::string>& document, size_t dims, Context& context) {
  LoadedModel out;
  out.encoder = load_encoder(model);
  EncodeFlags flags;
  flags.dims = dims;
  flags.normalize = out.encoder->info().similarity != "dot";
  auto sides = side_options(flags, query, document, out.encoder->info(), context);
  out.model.query = std::move(sides.query);
  out.model.document = std::move(sides.document);
  out.model.encoder = out.encoder.get();
  return out;
}

void print_example(const nlohmann::ordered_json& row, size_t number, Context& context) {
  const auto line = [&](std::string_view field, const nlohmann::ordered_json& shown) {
    std::string note = fmt::format("{:.3f}", shown.at("score").get<double>());
    if (shown.contains("other_score")) {
      note += fmt::format(" ({:.3f})", shown.at("other_score").get<double>());
    }
    if (shown.contains("rank")) note += fmt::format(" #{}", shown.at("rank").get<uint64_t>());
    context.print("  {}  {}  {}\n", fit(field, 8), fit(note, 12),
                  clip(shown.at("text").get<std::string>(), 130));
  };
  context.write(bold(fmt::format("{}  {}", number, clip(row.at("query").get<std::string>(), 150)),
                     context.color()) +
                "\n");
  line("positive", row.at("positive"));
  for (const auto& negative : row.at("negatives")) line("negative", negative);
}

void print_report(const nlohmann::ordered_json& report, Context& context) {
  context.write(bold(fmt::format("{}  {:>13}  {:>8}  {:>22}", fit("guard", 40), "removed", "share",
                                 "negatives without it"),
                     context.color()) +
                "\n");
  for (const auto& guard : report.at("guards")) {
    if (guard.at("removed").get<uint64_t>() == 0) continue;
    context.print("{}  {:>13}  {:>7.2f}%  {:>22}\n", fit(guard.at("name").get<std::string>(), 40),
                  thousands(guard.at("removed").get<uint64_t>()),
                  100 * guard.at("share").get<double>(),
                  thousands(guard.at("without_guards").get<uint64_t>()));
  }
  context.print("of {} candidates; {} negatives for {} of {} rows, mean rank {:.1f}\n",
                thousands(report.at("candidates").get<uint64_t>()),
                thousands(report.at("negatives").get<uint64_t>()),
                thousands(report.at("rows_written").get<uint64_t>()),
                thousands(report.at("rows").get<uint64_t>()), report.at("mean_rank").get<double>());
  for (const auto& line : mine::estimate_words(report)) context.print("{}\n", line);
}

void warn(const nlohmann::ordered_json& report, Context& context) {
  const auto count = [&](const char* key) { return report.at(key).get<uint64_t>(); };
  warn_of_bad_rows(report, context);
  if (const auto left = count("rows") - count("rows_written"); left > 0) {
    context.warn(fmt::format(
        "akin: warning: {} of {} rows have too few negatives and were left out; widen --range, "
        "relax --share, or pass --short-rows fill",
        thousands(left), thousands(count("rows"))));
  }
  if (const auto none = count("rows_blank") + count("rows_without_positive"); none > 0) {
    context.warn(fmt::format("akin: warning: {} rows without query or positive were left out",
                             thousands(none)));
  }
  if (const auto wrong = count("negatives_that_answer"); wrong > 0) {
    context.warn(fmt::format(
        "akin: warning: {} negatives of the input are positives of their own query, too; "
        "--keep-negatives leaves them out",
        thousands(wrong)));
  }
  if (const auto cut = count("texts_truncated"); cut > 0) {
    context.warn(fmt::format("akin: warning: {} texts are longer than the model reads and were cut",
                             thousands(cut)));
  }
}

int check(mine::MineOptions& options, Context& context) {
  const ScratchFolder scratch(fs::temp_directory_path() / "akin-mine");
  options.input.max_rows = kCheckRows;
  for (auto& stream : options.corpus) stream = limited(std::move(stream), kCheckDocuments);
  options.out = (scratch.path() / "out.jsonl").string();
  options.work = {};
  const auto report = mine::mine(options, [&](const Progress& now) { context.progress(now); });
  context.end_progress();
  const auto& samples = report.at("samples");
  for (size_t i = 0; i < std::min(kExamples, samples.size()); ++i) {
    if (context.json()) {
      context.print_json(samples[i]);
    } else {
      print_example(samples[i], i + 1, context);
    }
  }
  if (!context.json()) {
    context.write("\n");
    print_report(report, context);
  }
  context.say(fmt::format("of the first {} rows against {} documents; nothing was written",
                          thousands(report.at("rows").get<uint64_t>()),
                          thousands(report.at("documents").get<uint64_t>())));
  return 0;
}

mine::InputOptions input_of(const MineFlags& flags) {
  mine::InputOptions out;
  out.files = flags.inputs;
  out.read = flags.read;
  out.min_label = flags.min_label;
  return out;
}

// Documents besides those of the rows.
std::vector<mine::TextStream> corpus_of(const MineFlags& flags) {
  std::vector<mine::TextStream> out;
  for (const auto& path : flags.inputs) {
    if (fs::is_directory(path)) add_documents(path, out);
  }
  for (const auto& path : flags.corpus) add_documents(path, out);
  return out;
}

mine::MineOptions resolve(MineFlags& flags) {
  if (flags.inputs.empty()) {
    throw_error(ErrorKind::usage, "FILE", "no input is named; see akin help mine");
  }
  if (!flags.check && flags.out.empty()) {
    throw_error(ErrorKind::usage, "--out",
                "name a file for the rows with their negatives, or pass --check");
  }
  read_range(flags.range, flags.select);
  mine::check_guards(flags.guards);
  mine::MineOptions out;
  out.input = input_of(flags);
  out.corpus = corpus_of(flags);
  out.guards = flags.guards;
  out.select = flags.select;
  out.format = flags.format;
  out.scores = flags.scores;
  out.out = flags.out;
  out.work = flags.work;
  out.keep_work = !flags.work.empty();
  out.threads = flags.model.threads;
  return out;
}

int run_cases(MineFlags& flags, Context& context) {
  if (flags.inputs.empty()) {
    throw_error(ErrorKind::usage, "FILE", "no input is named; see akin help mine");
  }
  if (!flags.out.empty()) check_output("--out", flags.out);
  if (!flags.report.empty()) check_output("--report", flags.report);
  mine::FailureOptions options;
  options.input = input_of(flags);
  options.corpus = corpus_of(flags);
  options.cases = flags.failure_cases;
  options.negatives = flags.select.negatives;
  options.seed = flags.select.seed;
  options.hold_out = flags.eval_set.empty() ? 0 : flags.hold_out;
  options.out = flags.out;
  options.eval_set = flags.eval_set;
  options.threads = flags.model.threads;
  return run_failure_cases(std::move(options), flags.report, flags.check, context);
}

int run(MineFlags& flags, Context& context) {
  if (!flags.failure_cases.empty()) return run_cases(flags, context);
  auto options = resolve(flags);
  if (flags.report.empty()) flags.report = flags.out + ".report.json";
  check_output("--out", flags.out);
  check_output("--report", flags.report);
  const auto model =
      open_model(flags.model, flags.query_prompt, flags.document_prompt, flags.dims, context);
  options.model = model.model;
  LoadedModel teacher;
  if (!flags.teacher.empty()) {
    ModelOptions teacher_options = flags.model;
    teacher_options.model = flags.teacher;
    teacher_options.pooling.clear();
    teacher_options.rope_base = 0;
    teacher_options.dtype = flags.teacher_dtype;
    teacher = open_model(teacher_options, flags.teacher_query_prompt, flags.teacher_document_prompt,
                         0, context);
    options.teacher = teacher.model;
  }
  if (flags.check) return check(options, context);
  const auto report = mine::mine(options, [&](const Progress& now) { context.progress(now); });
  context.end_progress();
  write_file(flags.report,
             report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  write_file(flags.out + ".report.html", mine::report_html(report));
  context.write_record(flags.out, {{"model", report.at("model")},
                                   {"teacher", report.at("teacher")},
                                   {"rows", report.at("rows")},
                                   {"rows_written", report.at("rows_written")},
                                   {"documents", report.at("documents")},
                                   {"negatives", report.at("negatives")}});
  warn(report, context);
  if (context.json()) {
    context.print_json(report);
    return 0;
  }
  print_report(report, context);
  const auto seconds = report.at("seconds").get<double>();
  const auto kept = report.at("texts_kept").get<uint64_t>();
  context.say(fmt::format("{} in {:.1f} s{}; report in {} and {}.report.html", flags.out, seconds,
                          kept > 0 ? fmt::format(", {} vectors from before", thousands(kept)) : "",
                          flags.report, flags.out));
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_mine_command() {
  return std::make_unique<CommandOf<MineFlags>>(kInfo, run);
}

}  // namespace akin::cli
