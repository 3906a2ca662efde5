// See mine.h. Steps: read, embed, search and judge block by block, write. What the work folder
// keeps of a run that ended early: vectors and finished blocks; reading is done again.
#include "mine/mine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/threads.h"
#include "index/flat.h"
#include "index/write_lock.h"
#include "mine/output.h"
#include "mine/parts.h"

namespace akin::mine {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLastRank = 100'000, kMostNegatives = 10'000;
constexpr size_t kMostQueries = 8192, kBlockBytes = size_t{512} << 20;

// The files of the work folder that are ours, by the beginnings of their names.
constexpr std::array<std::string_view, 3> kScratch = {"documents.", "queries.", "part-"};
constexpr std::string_view kVectors = ".vectors";

void remove_files(const fs::path& folder, bool vectors_too) {
  std::error_code error;
  std::vector<fs::path> ours;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto name = entry.path().filename().string();
    const bool scratch = std::any_of(kScratch.begin(), kScratch.end(),
                                     [&](auto stem) { return name.starts_with(stem); });
    if (scratch || name == index::kLockName || (vectors_too && name.ends_with(kVectors))) {
      ours.push_back(entry.path());
    }
  }
  for (const auto& path : ours) fs::remove(path, error);
  fs::remove(folder, error);  // if nothing else is in it
}

void check_options(const MineOptions& options) {
  const auto& select = options.select;
  if (options.input.files.empty()) throw_error(ErrorKind::usage, "FILE", "no input is named");
  if (options.model.encoder == nullptr) throw_error(ErrorKind::usage, "--model", "name a model");
  if (options.out.empty() || options.out == "-") {
    throw_error(ErrorKind::usage, "--out", "name a file for the rows with their negatives");
  }
  if (select.skip >= select.last || select.last > kLastRank) {
    throw_error(ErrorKind::usage, "--range",
                "{}-{} is no window of ranks; the first number is how many of the best are passed "
                "over, the second the last rank, at most {}",
                select.skip, select.last, kLastRank);
  }
  if (select.negatives == 0 || select.negatives > kMostNegatives) {
    throw_error(ErrorKind::usage, "--negatives", "{} is not between 1 and {}", select.negatives,
                kMostNegatives);
  }
  check_guards(options.guards);
  for (const auto& path : options.input.files) {
    if (!fs::exists(path)) throw_error(ErrorKind::not_found, path, "no such file or folder");
    if (fs::exists(options.out) && fs::equivalent(path, options.out)) {
      throw_error(ErrorKind::usage, "--out", "{} is an input, too", quote(options.out));
    }
  }
}

// What the choices depend on besides the texts.
std::string run_key(const Corpus& corpus, const MineOptions& options) {
  Hasher hasher;
  hasher.add(fmt::format("akin mine 4 {}", corpus.hash));
  for (const Model* model : {&options.model, &options.teacher}) {
    if (model->encoder == nullptr) continue;
    hasher.add(encoding_key(model->encoder->info(), model->query));
    hasher.add(encoding_key(model->encoder->info(), model->document));
  }
  const auto& g = options.guards;
  const auto& s = options.select;
  const auto number = [](const std::optional<double>& value) {
    return value ? fmt::format("{}", *value) : std::string("none");
  };
  hasher.add(fmt::format("{} {} {} {} {} {} {} {}", g.near, g.overlap, g.alike, g.together, g.share,
                         number(g.margin), number(g.max_score), number(g.min_score)));
  hasher.add(fmt::format("{} {} {} {} {} {} {} {}", s.skip, s.last, s.negatives,
                         static_cast<int>(s.sampling), s.seed, s.keep_negatives,
                         static_cast<int>(s.short_rows), static_cast<int>(s.judge)));
  return hasher.hex();
}

class Run {
 public:
  Run(const MineOptions& options, fs::path work, const ProgressSink& progress)
      : options_(options),
        progress_(progress),
        work_(std::move(work)),
        pool_(options.threads == 0 ? usable_cpus() : options.threads) {}

  nlohmann::ordered_json run() {
    const auto start = std::chrono::steady_clock::now();
    corpus_ = read_corpus(options_.input, options_.corpus, work_, progress_);
    count_words(corpus_->documents, weights_, pool_, progress_);
    count_words(corpus_->queries, weights_, pool_, progress_);
    document_words_.emplace(corpus_->documents, weights_, work_ / "documents.words", pool_,
                            progress_);
    query_words_.emplace(corpus_->queries, weights_, work_ / "queries.words", pool_, progress_);
    embed(options_.model, "", model_queries_, model_documents_);
    if (options_.teacher.encoder != nullptr) {
      embed(options_.teacher, "teacher's ", teacher_queries_, teacher_documents_);
    }
    const Parts parts(work_, run_key(*corpus_, options_));
    search(parts);
    Tally tally;
    const Choices choices = parts.read(blocks(), corpus_->rows.size(), tally);
    const ModelVectors decider =
        options_.select.judge == Judge::teacher && teacher_documents_ ? teacher() : model();
    const OutputCounts written = write_output(options_, *corpus_, choices, decider, progress_);
    nlohmann::ordered_json out = report(written);
    tally.report(out);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    out["seconds"] = seconds.count();
    return out;
  }

 private:
  ModelVectors model() const { return {&*model_queries_, &*model_documents_}; }
  ModelVectors teacher() const {
    return teacher_documents_ ? ModelVectors{&*teacher_queries_, &*teacher_documents_}
                              : ModelVectors{};
  }

  void embed(const Model& model, std::string_view whose, std::optional<TextVectors>& queries,
             std::optional<TextVectors>& documents) {
    const auto make = [&](std::string_view side, const TextFile& texts,
                          const EncodeOptions& encoding, std::optional<TextVectors>& out) {
      Hasher hasher;
      hasher.add(corpus_->hash);
      hasher.add(side);
      const std::string hash = hasher.hex();
      hasher.add(encoding_key(model.encoder->info(), encoding));
      const auto path = work_ / fmt::format("{}-{}{}", side, hasher.hex().substr(0, 16), kVectors);
      out.emplace(texts, hash, *model.encoder, encoding, path,
                  fmt::format("embedding {}{}", whose, side), progress_);
      vectors_.texts += out->counts().texts;
      vectors_.kept += out->counts().kept;
      vectors_.truncated += out->counts().truncated;
      vectors_.tokens += out->counts().tokens;
    };
    make("queries", corpus_->queries, model.query, queries);
    make("documents", corpus_->documents, model.document, documents);
  }

  size_t hits() const { return std::min(options_.select.last, corpus_->documents.size()); }
  // Queries of a block: so many that their best hits and vectors fit; does not depend on threads.
  size_t block_queries() const {
    const size_t of_one = 32 * hits() + 16 * model_queries_->dims();
    return std::clamp<size_t>(kBlockBytes / of_one, 64, kMostQueries);
  }
  size_t blocks() const {
    return (corpus_->queries.size() + block_queries() - 1) / block_queries();
  }

  void search(const Parts& parts) {
    const TextGuards guards(*corpus_, *document_words_, *query_words_, *model_documents_,
                            *model_queries_, options_.guards);
    const Miner miner(*corpus_, guards, options_.guards, model(), teacher(), options_.select);
    for (size_t block = 0; block < blocks(); ++block) {
      if (parts.has(block)) {
        ++blocks_kept_;
        continue;
      }
      const size_t begin = block * block_queries();
      const size_t count = std::min(block_queries(), corpus_->queries.size() - begin);
      Tally tally;
      const auto choices = judge(miner, begin, nearest(begin, count, block), tally);
      parts.write(block, choices, tally);
    }
  }

  // The best documents of each query of a block. [count][hits]
  std::vector<std::vector<index::Hit>> nearest(size_t begin, size_t count, size_t block) {
    if (options_.select.sampling == Sampling::corpus)
      return std::vector<std::vector<index::Hit>>(count);
    Mat<float> queries(count, model_queries_->dims());
    for (size_t i = 0; i < count; ++i) {
      std::copy_n(model_queries_->row(begin + i), queries.cols(), queries.row(i));
    }
    index::FlatSearch search(queries.view(), hits(), pool_);
    const size_t all = corpus_->documents.size();
    for (size_t at = 0; at < all; at += TextVectors::kBlockRows) {
      check_interrupted();
      if (progress_) progress_({"searching", block * all + at, blocks() * all, "documents"});
      search.add(model_documents_->block(at), at);
    }
    model_documents_->release_pages();
    return search.results();
  }

  std::vector<Choice> judge(const Miner& miner, size_t begin,
                            const std::vector<std::vector<index::Hit>>& hits, Tally& tally) {
    constexpr size_t kChunk = 16;
    std::vector<Tally> tallies(pool_.size());
    std::vector<std::vector<Choice>> choices(hits.size());
    parallel_for(pool_, hits.size(), kChunk, [&](size_t i, size_t thread) {
      check_interrupted();
      miner.mine(static_cast<uint32_t>(begin + i), hits[i], tallies[thread], choices[i]);
    });
    for (const Tally& part : tallies) tally.merge(part);
    std::vector<Choice> out;
    for (auto& of_query : choices)
      std::move(of_query.begin(), of_query.end(), std::back_inserter(out));
    return out;
  }

  nlohmann::ordered_json report(const OutputCounts& written) const {
    const auto& counts = corpus_->counts;
    nlohmann::ordered_json out;
    out["inputs"] = inputs_json(corpus_->inputs);
    const auto name = [](const Model& model) {
      return model.encoder == nullptr
                 ? nlohmann::ordered_json(nullptr)
                 : nlohmann::ordered_json({{"name", model.encoder->info().name},
                                           {"fingerprint", model.encoder->info().fingerprint}});
    };
    out["model"] = name(options_.model);
    out["teacher"] = name(options_.teacher);
    out["rules_by"] = choices(options_.select.judge)[static_cast<size_t>(
        teacher_documents_ ? options_.select.judge : Judge::model)];
    out["sampling"] =
        choices(options_.select.sampling)[static_cast<size_t>(options_.select.sampling)];
    out["range"] = {options_.select.skip, options_.select.last};
    out["negatives_wanted"] = options_.select.negatives;
    out["rows"] = corpus_->rows.size();
    out["rows_written"] = written.rows;
    out["lines_written"] = written.lines;
    out["rows_blank"] = counts.empty_rows;
    out["rows_without_positive"] = counts.rows_without_positive;
    out["negatives_that_answer"] = counts.negatives_that_answer;
    out["queries"] = corpus_->queries.size();
    out["documents"] = corpus_->documents.size();
    out["documents_from_corpus"] = counts.from_stream;
    out["document_variants_joined"] = counts.variants;
    out["texts_embedded"] = vectors_.texts - vectors_.kept;
    out["texts_kept"] = vectors_.kept;
    out["texts_truncated"] = vectors_.truncated;
    out["blocks"] = blocks();
    out["blocks_kept"] = blocks_kept_;
    out["threads"] = pool_.size();
    return out;
  }

  const MineOptions& options_;
  const ProgressSink& progress_;
  const fs::path work_;
  ThreadPool pool_;
  std::unique_ptr<Corpus> corpus_;
  WordWeights weights_;
  std::optional<WordSets> document_words_, query_words_;
  std::optional<TextVectors> model_queries_, model_documents_, teacher_queries_, teacher_documents_;
  VectorCounts vectors_;
  size_t blocks_kept_ = 0;
};

}  // namespace

std::span<const std::string_view> choices(OutputFormat) {
  static constexpr std::array<std::string_view, 2> kNames = {"flagembedding", "pairs"};
  return kNames;
}

nlohmann::ordered_json mine(const MineOptions& options, const ProgressSink& progress) {
  check_options(options);
  const fs::path work = options.work.empty() ? options.out + ".work" : options.work;
  std::error_code error;
  fs::create_directories(work, error);
  if (!fs::is_directory(work)) {
    throw_error(ErrorKind::io, work.string(), "cannot make the work folder: {}", error.message());
  }
  const index::WriteLock lock(work);
  try {
    auto report = Run(options, work, progress).run();
    remove_files(work, !options.keep_work);
    return report;
  } catch (const Error& failure) {
    // What was stopped can go on; for an input that cannot be read there is nothing to keep.
    if (failure.kind() != ErrorKind::interrupted && failure.kind() != ErrorKind::io) {
      remove_files(work, false);
    }
    throw;
  }
}

}  // namespace akin::mine
