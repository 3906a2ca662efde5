// See failure.h. Rows are made in blocks by all threads and written in the order of the input.
#include "mine/failure.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/threads.h"
#include "data/fold.h"
#include "data/record_io.h"
#include "mine/failure_case.h"

namespace akin::mine {
namespace fs = std::filesystem;
namespace {

constexpr size_t kBlock = 1024, kChunk = 8, kSamples = 3;
constexpr size_t kMostNegatives = 1000;

std::string folded(std::string_view text) {
  std::string out;
  data::append_folded(text, out);
  return out;
}

// A negative that is the query or a positive after all, or was there before, goes.
void clean(CaseLine& line) {
  std::vector<std::string> seen = {folded(line.query)};
  for (const auto& positive : line.positives) seen.push_back(folded(positive));
  std::erase_if(line.negatives, [&](const CaseNegative& negative) {
    std::string text = folded(negative.text);
    if (text.empty() || std::find(seen.begin(), seen.end(), text) != seen.end()) return true;
    seen.push_back(std::move(text));
    return false;
  });
}

void append_line(const CaseLine& line, std::string_view source, std::string& out) {
  const auto list = [&](std::string_view key, const auto& items, const auto& text_of) {
    fmt::format_to(std::back_inserter(out), ",\"{}\":[", key);
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += ',';
      data::append_json_text(text_of(items[i]), out);
    }
    out += ']';
  };
  out += "{\"query\":";
  data::append_json_text(line.query, out);
  list("pos", line.positives, [](const std::string& text) -> std::string_view { return text; });
  list("neg", line.negatives,
       [](const CaseNegative& negative) -> std::string_view { return negative.text; });
  out += ",\"source\":";
  data::append_json_text(source, out);
  out += "}\n";
}

// What one case came to.
struct CaseTally {
  uint64_t rows = 0, lines = 0, held_out = 0, negatives = 0;
  std::map<std::string, uint64_t, std::less<>> kinds;
  std::map<uint64_t, nlohmann::ordered_json> samples;  // by a hash: the smallest stay

  void add(const CaseLine& line, bool held) {
    ++(held ? held_out : lines);
    negatives += line.negatives.size();
    for (const auto& negative : line.negatives) ++kinds[std::string(negative.kind)];
    const uint64_t order = hash64(line.query, 7);
    if (samples.size() == kSamples && order >= samples.rbegin()->first) return;
    nlohmann::ordered_json shown = {{"query", line.query}, {"positive", line.positives.front()}};
    auto& list = shown["negatives"] = nlohmann::ordered_json::array();
    for (const auto& negative : line.negatives) {
      list.push_back({{"text", negative.text}, {"kind", negative.kind}});
    }
    samples[order] = std::move(shown);
    if (samples.size() > kSamples) samples.erase(std::prev(samples.end()));
  }
  nlohmann::ordered_json json(std::string_view name) const {
    nlohmann::ordered_json out = {{"case", name},           {"rows", rows},
                                  {"lines", lines},         {"lines_held_out", held_out},
                                  {"negatives", negatives}, {"kinds", kinds}};
    auto& list = out["samples"] = nlohmann::ordered_json::array();
    for (const auto& [order, shown] : samples) list.push_back(shown);
    return out;
  }
};

struct Made {
  std::vector<std::vector<CaseLine>> of_case;
  bool held_out = false;
};

class Run {
 public:
  Run(const FailureOptions& options, std::vector<std::string> names, const fs::path& work,
      const ProgressSink& progress)
      : options_(options),
        names_(std::move(names)),
        work_(work),
        progress_(progress),
        pool_(options.threads == 0 ? usable_cpus() : options.threads) {
    for (const auto& name : names_) cases_.push_back(make_failure_case(name));
    tallies_.resize(cases_.size());
  }

  nlohmann::ordered_json run() {
    const auto start = std::chrono::steady_clock::now();
    corpus_ = read_corpus(options_.input, options_.corpus, work_, progress_);
    for (const TextFile* texts : {&corpus_->documents, &corpus_->queries}) {
      count_words(*texts, word_weights_, pool_, progress_);
      count_terms(*texts, term_weights_, pool_, progress_);
    }
    const WordSets document_words(corpus_->documents, word_weights_, work_ / "documents.words",
                                  pool_, progress_);
    const WordSets query_words(corpus_->queries, word_weights_, work_ / "queries.words", pool_,
                               progress_);
    const TermIndex documents(corpus_->documents, term_weights_, pool_, progress_);
    const TermIndex queries(corpus_->queries, term_weights_, pool_, progress_);
    const CaseTools tools{*corpus_, term_weights_, documents, queries, document_words, query_words};
    make_all(tools);
    auto out = report();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    out["seconds"] = seconds.count();
    return out;
  }

 private:
  bool held_out(const Row& row) const {
    if (options_.eval_set.empty()) return false;
    if (options_.out.empty()) return true;
    // Rows whose first answer is the same stay together.
    const uint64_t key =
        hash64(folded(corpus_->documents[corpus_->positives(row).front()]), options_.seed);
    return static_cast<double>(key >> 11) * 0x1p-53 < options_.hold_out;
  }

  Made make(size_t number, const CaseTools& tools) const {
    const Row& row = corpus_->rows[number];
    Made out;
    out.held_out = held_out(row);
    out.of_case.resize(cases_.size());
    const CaseRow given{corpus_->queries[row.query], row.query, corpus_->positives(row),
                        options_.negatives, out.held_out};
    for (size_t c = 0; c < cases_.size(); ++c) {
      const uint64_t words[] = {options_.seed, hash64(names_[c]), number};
      Rng rng(hash64({reinterpret_cast<const char*>(words), sizeof words}));
      auto& lines = out.of_case[c];
      cases_[c]->make(given, tools, rng, lines);
      for (CaseLine& line : lines) {
        if (line.positives.empty()) {
          for (const uint32_t document : given.positives) {
            line.positives.emplace_back(corpus_->documents[document]);
          }
        }
        clean(line);
      }
      std::erase_if(lines, [](const CaseLine& line) { return line.negatives.empty(); });
    }
    return out;
  }

  void make_all(const CaseTools& tools) {
    std::optional<AtomicFile> out;
    if (!options_.out.empty()) out.emplace(options_.out);
    std::vector<std::unique_ptr<AtomicFile>> sets;
    for (const auto& name : names_) {
      if (options_.eval_set.empty()) break;
      sets.push_back(std::make_unique<AtomicFile>(fs::path(options_.eval_set) / (name + ".jsonl")));
    }
    const size_t rows = corpus_->rows.size();
    std::string bytes;
    for (size_t begin = 0; begin < rows; begin += kBlock) {
      check_interrupted();
      if (progress_) progress_({"making failure cases", begin, rows, "rows"});
      std::vector<Made> made(std::min(kBlock, rows - begin));
      parallel_for(pool_, made.size(), kChunk,
                   [&](size_t i, size_t) { made[i] = make(begin + i, tools); });
      for (const Made& row : made) {
        rows_held_out_ += row.held_out ? 1 : 0;
        for (size_t c = 0; c < cases_.size(); ++c) {
          tallies_[c].rows += row.of_case[c].empty() ? 0 : 1;
          for (const CaseLine& line : row.of_case[c]) {
            tallies_[c].add(line, row.held_out);
            bytes.clear();
            append_line(line, names_[c], bytes);
            (row.held_out ? *sets[c] : *out).write(bytes);
          }
        }
      }
    }
    for (auto& set : sets) set->commit();
    if (!options_.eval_set.empty()) write_tasks();
    if (out) out->commit();
  }

  // A task for each case that has rows, for `akin eval --tasks-file`.
  void write_tasks() const {
    std::string text =
        "# Failure cases: is the answer ranked before texts that only look like one?\n"
        "# akin eval --model MODEL --tasks-file THIS --data FOLDER-ABOVE-THIS-ONE\n";
    const std::string folder =
        fs::absolute(options_.eval_set).lexically_normal().filename().string();
    for (size_t c = 0; c < cases_.size(); ++c) {
      if (tallies_[c].held_out == 0) continue;
      std::string name = "Failure.";
      name += names_[c];
      text += fmt::format(
          "\n[[task]]\nname = \"{}\"\ntype = \"Reranking\"\ndataset = {}\nsplits = "
          "[\"test\"]\nfiles = {{ rows = \"{}.jsonl\" }}\ncolumns = {{ query = \"query\", positive "
          "= \"pos\", negative = \"neg\" }}\nmain_score = \"ndcg_at_10\"\n",
          name, nlohmann::json(folder).dump(), names_[c]);
    }
    write_file(fs::path(options_.eval_set) / "tasks.toml", text);
  }

  nlohmann::ordered_json report() const {
    nlohmann::ordered_json out;
    out["inputs"] = inputs_json(corpus_->inputs);
    out["rows"] = corpus_->rows.size();
    out["rows_held_out"] = rows_held_out_;
    out["queries"] = corpus_->queries.size();
    out["documents"] = corpus_->documents.size();
    out["seed"] = options_.seed;
    out["cases"] = nlohmann::ordered_json::array();
    for (size_t c = 0; c < cases_.size(); ++c) out["cases"].push_back(tallies_[c].json(names_[c]));
    return out;
  }

  const FailureOptions& options_;
  const std::vector<std::string> names_;
  const fs::path work_;
  const ProgressSink& progress_;
  ThreadPool pool_;
  std::vector<std::unique_ptr<FailureCase>> cases_;
  std::vector<CaseTally> tallies_;
  std::unique_ptr<Corpus> corpus_;
  WordWeights word_weights_, term_weights_;
  uint64_t rows_held_out_ = 0;
};

std::vector<std::string> chosen_cases(const FailureOptions& options) {
  std::vector<std::string> all, out;
  for (const auto& info : failure_case_infos()) all.emplace_back(info.name);
  if (options.cases.empty()) return all;
  for (const auto& name : options.cases) {
    if (name == "all") return all;
    (void)make_failure_case(name);  // refuses unknown names
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
  }
  return out;
}

void check_options(const FailureOptions& options) {
  AKIN_CHECK(!options.work.empty());
  if (options.input.files.empty()) throw_error(ErrorKind::usage, "FILE", "no input is named");
  if (options.out.empty() && options.eval_set.empty()) {
    throw_error(ErrorKind::usage, "--out",
                "name a file for the rows, or a folder for an evaluation set with --eval-set");
  }
  if (options.negatives == 0 || options.negatives > kMostNegatives) {
    throw_error(ErrorKind::usage, "--negatives", "{} is not between 1 and {}", options.negatives,
                kMostNegatives);
  }
  if (!(options.hold_out >= 0 && options.hold_out <= 1)) {
    throw_error(ErrorKind::usage, "--hold-out", "{} is no share from 0 to 1", options.hold_out);
  }
  for (const auto& path : options.input.files) {
    if (!fs::exists(path)) throw_error(ErrorKind::not_found, path, "no such file or folder");
    if (!options.out.empty() && fs::exists(options.out) && fs::equivalent(path, options.out)) {
      throw_error(ErrorKind::usage, "--out", "{} is an input, too", quote(options.out));
    }
  }
}

}  // namespace

nlohmann::ordered_json make_failure_cases(const FailureOptions& options,
                                          const ProgressSink& progress) {
  check_options(options);
  auto names = chosen_cases(options);
  std::error_code error;
  for (const fs::path& folder : {fs::path(options.work), fs::path(options.eval_set)}) {
    if (folder.empty()) continue;
    fs::create_directories(folder, error);
    if (!fs::is_directory(folder)) {
      throw_error(ErrorKind::io, folder.string(), "cannot make the folder: {}", error.message());
    }
  }
  return Run(options, std::move(names), options.work, progress).run();
}

}  // namespace akin::mine
