// See chain_parts.h.
#include "data/chain_parts.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "data/path_key.h"
#include "data/record_io.h"

namespace akin::data {
namespace fs = std::filesystem;
namespace {

constexpr size_t kBatchRecords = 1024;
constexpr size_t kBatchBytes = size_t{4} << 20;
constexpr uint64_t kStateVersion = 4;  // raised when the form of a work file or of keys changes

void add_all(const std::vector<std::string> &texts, Hasher &hasher) {
  hasher.add(texts.size());
  for (const auto &text : texts) hasher.add(text);
}

void add_encoding(const EncodeOptions &options, Hasher &hasher) {
  add_all({options.prompt_name, options.prompt.value_or(""), options.task}, hasher);
  hasher.add(uint64_t{options.prompt.has_value()});
  hasher.add(options.dims);
  hasher.add(static_cast<uint64_t>(options.truncate));
}

void add_filter_options(const FilterOptions &filter, Hasher &hasher) {
  for (const uint64_t value :
       {filter.min_chars, filter.max_chars, filter.overlap_words, filter.eval_words,
        filter.near_words, filter.pool, filter.top, filter.seed, uint64_t{filter.drop_unsure},
        uint64_t{filter.keep_without_negatives}}) {
    hasher.add(value);
  }
  for (const double value : {filter.overlap, filter.language_confidence, filter.near_similarity,
                             filter.eval_near, filter.min_similarity, filter.margin}) {
    hasher.add(fmt::format("{}", value));
  }
  add_all(filter.languages, hasher);
  if (!filter.language_model.empty()) add_path_key(filter.language_model, hasher);
  if (filter.encoder != nullptr) hasher.add(filter.encoder->info().fingerprint);
  add_encoding(filter.query_encoding, hasher);
  add_encoding(filter.document_encoding, hasher);
}

// Over everything that decides the result.
std::string fingerprint_of(const ChainOptions &options) {
  Hasher hasher;
  hasher.add(kStateVersion);
  for (const auto &input : options.inputs) add_path_key(input, hasher);
  for (const auto &path : options.filter.eval_texts) add_path_key(path, hasher);
  add_all(options.read.map, hasher);
  if (!options.read.labels.empty()) add_all(options.read.labels, hasher);
  hasher.add(uint64_t{options.read.skip_bad_rows});
  hasher.add(uint64_t{options.read.any_shape});
  add_all({options.read.split, options.read.task, options.read.source}, hasher);
  add_all(options.filters, hasher);
  add_all(options.list_removed, hasher);
  add_all(options.filter.eval_columns, hasher);
  add_filter_options(options.filter, hasher);
  return hasher.hex();
}

}  // namespace

InputSource::InputSource(const ChainOptions &options, const ProgressSink &progress)
    : options_(options), progress_(progress) {
  for (const auto &input : options.inputs) {
    if (!fs::is_directory(input)) bytes_total_ += fs::file_size(input);
  }
}

bool InputSource::open_next() {
  if (next_ == options_.inputs.size()) return false;
  current_ = open_records(options_.inputs[next_++], options_.read);
  return true;
}

void InputSource::close() {
  auto bad = nlohmann::ordered_json::array();
  for (const auto &row : current_.reader->first_bad_rows()) {
    bad.push_back({{"where", row.where}, {"message", row.message}});
  }
  report_.push_back({{"path", options_.inputs[next_ - 1]},
                     {"layout", current_.layout},
                     {"rows", current_.reader->rows()},
                     {"bad_rows", current_.reader->bad_rows()},
                     {"first_bad_rows", std::move(bad)},
                     {"dropped_rows", current_.reader->dropped_rows()}});
  bytes_done_ += current_.bytes_total;
  current_ = {};
}

bool InputSource::read(Batch &batch) {
  size_t bytes = 0;
  while (batch.count < kBatchRecords && bytes < kBatchBytes) {
    if (current_.reader == nullptr && !open_next()) break;
    if (batch.records.size() == batch.count) batch.records.emplace_back();
    Record &record = batch.records[batch.count];
    if (!current_.reader->next(record)) {
      close();
      continue;
    }
    bytes += record.query.size() + record.positive.size();
    for (const auto &negative : record.negatives) bytes += negative.size();
    ++batch.count;
  }
  if (progress_) {
    const uint64_t now = current_.reader == nullptr ? 0 : current_.reader->bytes_read();
    progress_({"reading", (bytes_done_ + now) >> 10, bytes_total_ >> 10, "KB"});
  }
  return batch.count > 0;
}

WorkSource::WorkSource(const fs::path &path, uint64_t records, RowShape shape,
                       const ProgressSink &progress)
    : reader_(path), total_(records), shape_(shape), progress_(progress) {}

bool WorkSource::read(Batch &batch) {
  uint32_t records = 0;
  if (!reader_.next(records, batch.packed)) {
    if (done_ == total_) return false;
    throw_error(ErrorKind::bad_format, reader_.where(),
                "{} records, expected {}; remove the work folder and start again", done_, total_);
  }
  batch.count = records;
  done_ += records;
  if (progress_) progress_({"filtering", done_, total_, "records"});
  return true;
}

void WorkSource::unpack(Batch &batch) const {
  if (batch.records.size() < batch.count) batch.records.resize(batch.count);
  std::string_view in = batch.packed;
  for (size_t i = 0; i < batch.count; ++i) {
    take_packed(in, batch.records[i], reader_.where());
    batch.records[i].shape = shape_;
  }
}

WorkFolder::WorkFolder(fs::path path, const ChainOptions &options)
    : path_(std::move(path)), fingerprint_(fingerprint_of(options)) {
  if (fs::exists(path_) && !fs::is_directory(path_)) {
    throw_error(ErrorKind::usage, path_.string(), "is not a folder; name another: --work");
  }
  fs::create_directories(path_);
  remove_temporaries("state.json.");
  const fs::path state = path_ / "state.json";
  if (!fs::exists(state)) {
    if (!fs::is_empty(path_)) {
      throw_error(ErrorKind::usage, path_.string(),
                  "is not empty and not the work folder of a run; name "
                  "another: --work");
    }
    save();
    return;
  }
  nlohmann::ordered_json saved;
  try {
    saved = nlohmann::ordered_json::parse(read_file(state));
    if (saved.at("fingerprint").get<std::string>() != fingerprint_) {
      throw_error(ErrorKind::usage, path_.string(),
                  "holds unfinished work of a run with other inputs or "
                  "options; finish that run, "
                  "remove the folder, or name another: --work");
    }
    for (const auto &pass : saved.at("passes")) finished_.push_back(pass);
  } catch (const nlohmann::json::exception &) {
    throw_error(ErrorKind::bad_format, state.string(),
                "damaged; remove the work folder and start again");
  }
  remove_temporaries("pass-");
}

// Left by a run that was killed.
void WorkFolder::remove_temporaries(std::string_view prefix) const {
  std::vector<fs::path> left;
  for (const auto &entry : fs::directory_iterator(path_)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(".tmp")) left.push_back(entry.path());
  }
  for (const auto &path : left) fs::remove(path);
}

fs::path WorkFolder::file(size_t pass, std::string_view what) const {
  return path_ / fmt::format("pass-{}.{}", pass, what);
}

void WorkFolder::save() const {
  const nlohmann::ordered_json state{{"fingerprint", fingerprint_}, {"passes", finished_}};
  write_file(path_ / "state.json", state.dump() + "\n");
}

void WorkFolder::finish(nlohmann::ordered_json pass) {
  finished_.push_back(std::move(pass));
  save();
}

void WorkFolder::remove_pass(size_t pass) const {
  fs::remove(file(pass, "records"));
  fs::remove(file(pass, "repeats"));
}

void WorkFolder::remove() const {
  for (size_t pass = 0; pass <= finished_.size(); ++pass) {
    remove_pass(pass);
    fs::remove(file(pass, "removed"));
    fs::remove(file(pass, "keys"));
    fs::remove(file(pass, "keys.signatures"));
  }
  fs::remove(path_ / "state.json");
  std::error_code ignored;
  fs::remove(path_, ignored);
}

}  // namespace akin::data
