#include "cli/corpus.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "base/error.h"
#include "base/finite.h"
#include "base/hash.h"
#include "base/json.h"
#include "cli/terminal.h"
#include "core/encoding_key.h"
#include "store/vectors_file.h"

namespace akin::cli {
namespace {

namespace fs = std::filesystem;

// What the vectors depend on: the model, how it is asked, and every text in order.
std::string cache_key(const Corpus& corpus, const EncoderInfo& info, const EncodeOptions& encode) {
  Hasher hasher;
  hasher.add(std::string_view("akin document vectors 1"));
  add_encoding(hasher, info, encode);
  for (const auto& document : corpus.documents) hasher.add(document.text);
  return hasher.hex();
}

Mat<float> read_vectors(const fs::path& file, size_t rows, size_t dims) {
  Mat<float> vectors = store::read_npy(file);
  if (vectors.rows() != rows || vectors.cols() != dims) {
    throw_error(ErrorKind::usage, file.string(),
                "holds {} vectors of {} numbers, expected {} of {}; embed these files with this "
                "model and these options",
                vectors.rows(), vectors.cols(), rows, dims);
  }
  for (size_t row = 0; row < rows; ++row) {
    if (all_finite({vectors.row(row), dims})) continue;
    throw_error(ErrorKind::bad_format, file.string(),
                "row {} holds a value that is not a finite number, which no answer can be ranked "
                "by; embed its text again, or take the row out",
                row);
  }
  return vectors;
}

// `all`, one vector a row of the input, without those of empty rows.
Mat<float> of_documents(const Corpus& corpus, Mat<float> all) {
  if (corpus.empty_rows.empty()) return all;
  Mat<float> out(corpus.documents.size(), all.cols());
  size_t empty = 0, next = 0;
  for (size_t row = 0; row < all.rows(); ++row) {
    if (empty < corpus.empty_rows.size() && corpus.empty_rows[empty] == row) {
      ++empty;
    } else {
      std::copy_n(all.row(row), all.cols(), out.row(next++));
    }
  }
  return out;
}

void check_fingerprint(const fs::path& file, const std::string& fingerprint, bool allow,
                       Context& context) {
  const fs::path record = file.string() + ".config.json";
  std::error_code error;
  if (!fs::exists(record, error))
    return context.warn(fmt::format(
        "akin: warning: no {}, so the model of these vectors is not checked", record.string()));
  const auto document = JsonDocument::load(record);
  const auto model = JsonValue(document).find("model");
  const std::string found = model ? model->get("fingerprint", "") : "";
  if (found == fingerprint || allow) return;
  throw_error(ErrorKind::usage, file.string(),
              "was made by a model with fingerprint {}, this one is {}: embed again, or pass "
              "--allow-mismatch",
              found, fingerprint);
}

void embed_documents(Corpus& corpus, size_t block, Encoder& encoder, EncodeOptions& encode,
                     Context& context) {
  const auto& documents = corpus.documents;
  corpus.vectors = Mat<float>(documents.size(), resolve_dims(encoder.info(), encode));
  std::vector<std::string_view> views;
  size_t begin = 0;
  encode.progress = [&](const Progress& step) {
    context.progress({"embedding", begin + step.done, documents.size(), "texts"});
  };
  uint64_t truncated = 0;
  for (; begin < documents.size(); begin += block) {
    check_interrupted();
    const size_t count = std::min(block, documents.size() - begin);
    views.clear();
    for (size_t i = begin; i < begin + count; ++i) views.push_back(documents[i].text);
    EncodeReport report;
    try {
      report = encoder.encode(views, encode, corpus.vectors.view().row_range(begin, count));
    } catch (const Error& error) {
      throw with_place(error, [&](size_t i) { return corpus.place(begin + i); });
    }
    corpus.tokens += report.tokens;
    truncated += report.truncated.size();
  }
  encode.progress = {};
  context.end_progress();
  if (truncated > 0)
    context.warn(fmt::format("akin: warning: {} documents were truncated", thousands(truncated)));
}

// The cache only saves time: where it cannot be read or written, a warning says so.
bool take_cached(Corpus& corpus, const fs::path& file, size_t dims, Context& context) {
  std::error_code error;
  if (!fs::exists(file, error)) return false;
  try {
    corpus.vectors = read_vectors(file, corpus.documents.size(), dims);
    return true;
  } catch (const Error& damaged) {
    context.warn(fmt::format("akin: warning: --cache: {}; embedding again", damaged.what()));
    return false;
  }
}

void keep_cached(const Corpus& corpus, const fs::path& file, Context& context) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  try {
    const auto writer = store::open_vector_writer(file, corpus.vectors.cols(), {});
    writer->write(corpus.vectors.view(), {}, {});
    writer->finish();
  } catch (const Error& failed) {
    context.warn(
        fmt::format("akin: warning: --cache: {}; the vectors are not kept", failed.what()));
  }
}

}  // namespace

std::string Corpus::place(size_t row) const {
  const auto& document = documents[row];
  const auto& file = files[document.file];
  if (document.whole_file) return file;
  if (!document.id.empty()) return document.id;
  return fmt::format("{}:{}", file == "-" ? "stdin" : file, document.line);
}

fs::path cache_folder() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && *xdg == '/') return fs::path(xdg) / "akin";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    throw_error(ErrorKind::usage, "--cache",
                "needs HOME or XDG_CACHE_HOME to know where to keep vectors");
  }
  return fs::path(home) / ".cache" / "akin";
}

Corpus read_corpus(const std::vector<std::string>& inputs, const InputOptions& input,
                   Context& context) {
  InputReader reader(inputs, input, context);
  Corpus corpus;
  InputText row;
  while (reader.next(row)) {
    check_interrupted();
    if (corpus.files.empty() || corpus.files.back() != reader.file())
      corpus.files.push_back(reader.file());
    ++corpus.rows;
    if (row.text.empty()) {
      corpus.empty_rows.push_back(corpus.rows - 1);
      continue;
    }
    corpus.documents.push_back({std::move(row.text), std::move(row.id),
                                static_cast<uint32_t>(corpus.files.size() - 1), row.line,
                                row.whole_file});
    if (corpus.documents.size() % 1024 == 0)
      context.progress({"reading", reader.bytes_read() / 1024, reader.bytes_total() / 1024, "kB"});
  }
  context.end_progress();
  if (reader.bad_rows() > 0)
    context.warn(fmt::format("akin: warning: {} bad rows skipped", thousands(reader.bad_rows())));
  return corpus;
}

void fill_vectors(Corpus& corpus, const CorpusOptions& options, Encoder& encoder,
                  EncodeOptions encode, Context& context) {
  const Stopwatch watch;
  const auto& info = encoder.info();
  const size_t dims = resolve_dims(info, encode);
  fs::path cached;
  if (options.cache)
    cached = cache_folder() / "vectors" / (cache_key(corpus, info, encode) + ".npy");
  if (!options.vectors.empty()) {
    corpus.vectors = of_documents(corpus, read_vectors(options.vectors, corpus.rows, dims));
    check_fingerprint(options.vectors, info.fingerprint, options.allow_mismatch, context);
    corpus.origin = "read";
  } else if (options.cache && take_cached(corpus, cached, dims, context)) {
    corpus.origin = "cached";
  } else {
    embed_documents(corpus, std::max<size_t>(1, options.block), encoder, encode, context);
    corpus.origin = "embedded";
    if (options.cache) keep_cached(corpus, cached, context);
  }
  corpus.seconds = watch.seconds();
}

}  // namespace akin::cli
