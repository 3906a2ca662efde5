// See record_store.h and, for the file, record_store_write.h.
#include "data/record_store.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "data/fold.h"
#include "data/path_key.h"
#include "data/record_io.h"
#include "data/record_store_write.h"
#include "text/utf8.h"

namespace akin::data {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kDamaged =
    "the store is damaged or cut; delete this file, it is made again from the inputs";

TextKeys keys_of(const Record& record) {
  return {text_key(record.query), text_key(record.positive)};
}

class MappedStore : public RecordStore {
 public:
  // Errors: not_found, io, bad_format.
  explicit MappedStore(const fs::path& path) : where_(path.string()), file_(path) {
    if (file_.bytes().size() < sizeof header_) fail();
    std::memcpy(&header_, file_.bytes().data(), sizeof header_);
    if (header_.magic != kStoreMagic) {
      throw_error(ErrorKind::bad_format, where_,
                  "this is no store of records; name another path, or delete the file");
    }
    if (header_.version != kStoreVersion) return;
    if (header_.check != hash64(text(0, offsetof(StoreHeader, check))) ||
        header_.file_bytes != file_.bytes().size() || header_.directory_at < sizeof header_ ||
        header_.directory_at > header_.file_bytes ||
        blocks() != (header_.file_bytes - header_.directory_at) / sizeof(uint64_t)) {
      fail();
    }
  }
  bool holds(std::string_view inputs) const {
    return header_.version == kStoreVersion &&
           std::string_view(header_.inputs, kKeyBytes) == inputs;
  }

  uint64_t size() const override { return header_.records; }
  void read(uint64_t number, Record& record) const override {
    std::string_view bytes = record_bytes(number);
    uint64_t check;
    std::memcpy(&check, bytes.data(), sizeof check);
    if (check != hash64(bytes.substr(sizeof check))) fail();
    bytes.remove_prefix(sizeof(RecordHead));
    try {
      take_packed(bytes, record, where_);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::bad_format) throw;
      fail();
    }
    const auto valid = [](const std::string& text) { return text::is_valid_utf8(text); };
    if (!bytes.empty() || !valid(record.query) || !valid(record.positive) ||
        !std::all_of(record.negatives.begin(), record.negatives.end(), valid)) {
      fail();
    }
  }
  TextKeys keys(uint64_t number) const override {
    RecordHead head;
    std::memcpy(&head, record_bytes(number).data(), sizeof head);
    return head.keys;
  }
  RowCounts row_counts() const override { return header_.rows; }
  std::string fingerprint() const override { return {header_.contents, kKeyBytes}; }
  Fields fields() const override { return header_.fields; }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorKind::bad_format, std::string(kDamaged), where_);
  }
  uint64_t blocks() const {
    return header_.records / kBlockRecords + (header_.records % kBlockRecords == 0 ? 0 : 1);
  }
  std::string_view text(uint64_t begin, uint64_t bytes) const {
    return {reinterpret_cast<const char*>(file_.bytes().data()) + begin, bytes};
  }
  uint64_t number_at(uint64_t at) const {
    if (at > header_.file_bytes - sizeof at) fail();
    std::memcpy(&at, file_.bytes().data() + at, sizeof at);
    return at;
  }
  // At least a RecordHead.
  std::string_view record_bytes(uint64_t number) const {
    AKIN_CHECK(number < header_.records);
    const uint64_t table =
        number_at(header_.directory_at + number / kBlockRecords * sizeof(uint64_t));
    if (table > header_.directory_at) fail();
    const uint64_t entry = table + number % kBlockRecords * sizeof(uint64_t);
    const uint64_t begin = number_at(entry), end = number_at(entry + sizeof entry);
    if (begin > end || end > header_.directory_at || end - begin < sizeof(RecordHead)) fail();
    return text(begin, end - begin);
  }

  const std::string where_;
  const MappedFile file_;
  StoreHeader header_;
};

// Of the files and of how they are to be read.
std::string inputs_key(const StoreOptions& options) {
  Hasher hasher;
  hasher.add(kStoreVersion);
  for (const auto& input : options.inputs) add_path_key(input, hasher);
  const ReadOptions& read = options.read;
  for (const auto& entry : read.map) hasher.add(entry);
  hasher.add(uint64_t{read.map.size()});
  for (const auto& text : {read.split, read.task, read.source}) hasher.add(text);
  for (const bool flag : {read.skip_bad_rows, read.single, read.classes}) {
    hasher.add(uint64_t{flag ? 1U : 0U});
  }
  for (const auto& entry : read.labels) hasher.add(entry);
  if (options.gate != nullptr) hasher.add(options.gate->key());
  return hasher.hex();
}

// The name of a field without text; empty: there is none.
std::string blank_field(const Record& record, const TextKeys& keys, bool single) {
  if (keys.query == 0) return "the query";
  if (keys.positive == 0 && !single) return "the positive";
  for (size_t i = 0; i < record.negatives.size(); ++i) {
    if (text_key(record.negatives[i]) == 0) return fmt::format("negative {}", i + 1);
  }
  return {};
}

class Builder {
 public:
  Builder(const fs::path& path, const StoreOptions& options, const ProgressSink& progress)
      : options_(options), progress_(progress), writer_(path) {
    for (const auto& input : options.inputs) {
      if (!fs::is_directory(input)) bytes_total_ += fs::file_size(input);
    }
  }

  void run(const fs::path& path, std::string_view inputs) {
    for (const auto& input : options_.inputs) read(input);
    if (writer_.records() == 0) {
      throw_error(ErrorKind::bad_format, fmt::format("{}", fmt::join(options_.inputs, ", ")),
                  "no records for {} ({} bad rows, {} met evaluation texts); a source needs at "
                  "least one",
                  path.filename().string(), bad_rows_, left_out_);
    }
    writer_.commit(inputs, {bad_rows_, left_out_});
  }

 private:
  static constexpr uint64_t kRecordsPerReport = 1024;

  void read(const std::string& input) {
    const auto opened = open_records(input, options_.read);
    Record record;
    while (opened.reader->next(record)) {
      if (++seen_ % kRecordsPerReport == 0) report(*opened.reader);
      const TextKeys keys = keys_of(record);
      if (const auto blank = blank_field(record, keys, options_.read.single); !blank.empty()) {
        ++bad_rows_;
        if (options_.read.skip_bad_rows) continue;
        throw_error(ErrorKind::bad_format, fmt::format("{}:{}", input, record.row),
                    "{} has no text. Clean the file with akin prep, or skip bad rows", blank);
      }
      if (options_.gate != nullptr && options_.gate->meets(record)) {
        ++left_out_;
      } else {
        writer_.write(record, keys);
      }
    }
    bad_rows_ += opened.reader->bad_rows();
    bytes_done_ += opened.bytes_total;
    report(*opened.reader);
  }
  void report(const RecordReader& reader) const {
    check_interrupted();
    if (!progress_) return;
    const uint64_t here = std::min(bytes_total_, bytes_done_ + reader.bytes_read());
    progress_({"reading records", here, bytes_total_, "bytes"});
  }

  const StoreOptions& options_;
  const ProgressSink& progress_;
  StoreWriter writer_;
  uint64_t seen_ = 0, bad_rows_ = 0, left_out_ = 0, bytes_total_ = 0, bytes_done_ = 0;
};

}  // namespace

uint64_t text_key(std::string_view text) {
  thread_local std::string folded;
  folded.clear();
  append_folded(text, folded);
  return folded.empty() ? 0 : std::max<uint64_t>(1, hash64(folded));
}

TextKeys RecordStore::keys(uint64_t number) const {
  Record record;
  read(number, record);
  return keys_of(record);
}

std::unique_ptr<RecordStore> RecordStore::open(const fs::path& path, const StoreOptions& options,
                                               const ProgressSink& progress) {
  if (options.inputs.empty()) {
    throw_error(ErrorKind::usage, path.string(), "a store of records needs at least one input");
  }
  const std::string inputs = inputs_key(options);
  if (fs::exists(path)) {
    auto store = std::make_unique<MappedStore>(path);
    if (store->holds(inputs)) return store;
  }
  Builder(path, options, progress).run(path, inputs);
  return std::make_unique<MappedStore>(path);
}

}  // namespace akin::data
