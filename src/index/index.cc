// Opening and creating an index, and what is asked of it besides searching.
#include "index/index.h"

#include <algorithm>
#include <system_error>

#include "base/error.h"
#include "index/code_file.h"
#include "index/index_files.h"

namespace akin::index {
namespace {

namespace fs = std::filesystem;

bool is_own_name(const std::string& name) {
  return name == kLockName || name.starts_with(DocumentStore::kFileName) ||
         name.starts_with("vectors-");
}

// What an interrupted create() left is taken away; anything else stays and is an error.
void clear_for_create(const fs::path& folder) {
  if (DocumentStore::is_complete(folder)) {
    throw_error(ErrorKind::usage, folder.string(), "holds an index already");
  }
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!is_own_name(name)) {
      throw_error(ErrorKind::usage, folder.string(), "holds {}; an index needs a folder for itself",
                  quote(name));
    }
    if (name != kLockName) leftovers.push_back(entry.path());
  }
  for (const auto& path : leftovers) fs::remove_all(path);
}

void check_spec(const IndexSpec& spec) {
  if (spec.vectors.dims == 0 || spec.vectors.dims > 65536) {
    throw_error(ErrorKind::usage, "dims", "got {}, expected 1 to 65536", spec.vectors.dims);
  }
  if (spec.similarity != "cosine" && spec.similarity != "dot") {
    throw_error(ErrorKind::usage, "similarity", "got {}, expected cosine or dot",
                quote(spec.similarity));
  }
}

uint64_t bytes_below(const fs::path& folder, std::string_view prefix) {
  uint64_t sum = 0;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (!it->path().filename().native().starts_with(prefix)) continue;
    const auto size = it->file_size(ignored);
    if (!ignored) sum += size;
  }
  return sum;
}

}  // namespace

std::unique_ptr<Index> Index::create(const fs::path& folder, const IndexSpec& spec) {
  check_spec(spec);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_error(ErrorKind::io, folder.string(), "cannot be made: {}", error.message());
  auto lock = std::make_unique<WriteLock>(folder);
  try {
    clear_for_create(folder);
  } catch (const fs::filesystem_error& failed) {
    throw_error(ErrorKind::io, folder.string(), "{}", failed.what());
  } catch (const Error&) {
    // Nothing of ours was there before: leave nothing behind.
    if (!fs::exists(folder / DocumentStore::kFileName, error))
      fs::remove(folder / kLockName, error);
    throw;
  }
  VectorStoreSpec vectors = spec.vectors;
  vectors.unit_prefixes = spec.similarity == "cosine";
  VectorStore::create(vectors_folder(folder, 1), vectors);
  DocumentStore::create(folder, spec);
  sync_folder(folder);
  return std::make_unique<FolderIndex>(folder, std::move(lock));
}

std::unique_ptr<Index> Index::open(const fs::path& folder, bool writable) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw_error(ErrorKind::not_found, folder.string(), "no such folder");
  }
  if (!fs::exists(folder / DocumentStore::kFileName, error)) {
    throw_error(ErrorKind::not_found, folder.string(), "holds no index");
  }
  if (!DocumentStore::is_complete(folder)) {
    throw_error(ErrorKind::not_found, folder.string(),
                "holds an index that was never finished being made; build it again");
  }
  return std::make_unique<FolderIndex>(folder, writable);
}

FolderIndex::FolderIndex(fs::path folder, bool writable)
    : folder_(std::move(folder)), threads_(usable_cpus()) {
  if (writable) {
    open_writer(std::make_unique<WriteLock>(folder_));
    return;
  }
  idle_.push_back(std::make_unique<DocumentStore>(folder_, false));
  spec_ = idle_.back()->spec();
}

FolderIndex::FolderIndex(fs::path folder, std::unique_ptr<WriteLock> lock)
    : folder_(std::move(folder)), threads_(usable_cpus()) {
  open_writer(std::move(lock));
}

void FolderIndex::open_writer(std::unique_ptr<WriteLock> lock) {
  writer_.emplace(Writer{});
  writer_->lock = std::move(lock);
  writer_->store = std::make_unique<DocumentStore>(folder_, true);
  spec_ = writer_->store->spec();
  const auto state = writer_->store->state();
  remove_old_generations(state.generation);
  open_vectors(state);
}

// Rows beyond the state's, of an add() that was cut short, are taken away here.
void FolderIndex::open_vectors(const StoreState& state) {
  writer_->vectors.reset();
  writer_->vectors = VectorStore::open(vectors_folder(folder_, state.generation), spec_.vectors,
                                       static_cast<size_t>(state.rows), true);
}

void FolderIndex::remove_old_generations(int64_t generation) const {
  const std::string current = vectors_folder(folder_, generation).filename().string();
  std::error_code error;
  std::vector<fs::path> old;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with("vectors-") && name != current) old.push_back(it->path());
  }
  for (const auto& path : old) fs::remove_all(path, error);
}

FolderIndex::Writer& FolderIndex::writer() {
  if (!writer_) {
    throw_error(ErrorKind::usage, folder_.string(), "the index was opened for reading only");
  }
  return *writer_;
}

void FolderIndex::check_model(std::string_view model, std::string_view fingerprint) const {
  if (spec_.fingerprint.empty() || spec_.fingerprint == fingerprint) return;
  throw_error(ErrorKind::usage, folder_.string(),
              "was built with model {}{} (fingerprint {}), this one is {} ({}); vectors of two "
              "models, or of "
              "one in two precisions, cannot be compared: use that model, or build the index again",
              quote(spec_.model), spec_.precision.empty() ? "" : " in " + spec_.precision,
              spec_.fingerprint, quote(model), fingerprint);
}

void FolderIndex::open_vectors() const { const Reader reader(*this, Reader::Sees::snapshot); }

IndexStats FolderIndex::stats() const {
  Reader reader(*this, Reader::Sees::database);
  const auto state = reader.store().state();
  const fs::path vectors = vectors_folder(folder_, state.generation);
  IndexStats out;
  out.rows = static_cast<uint64_t>(state.rows);
  out.removed_rows = static_cast<uint64_t>(state.removed);
  out.documents = out.rows - out.removed_rows;
  out.vector_bytes = bytes_below(vectors, "vectors.");
  out.code_bytes = bytes_below(vectors, "codes.");
  out.graph_bytes = bytes_below(vectors, kGraphName);
  out.database_bytes = bytes_below(folder_, DocumentStore::kFileName);
  return out;
}

std::optional<Document> FolderIndex::get(std::string_view id) const {
  Reader reader(*this, Reader::Sees::database);
  const auto number = reader.store().find(id);
  if (!number) return std::nullopt;
  return reader.store().read(*number);
}

FolderIndex::Reader::Reader(const FolderIndex& index, Sees what) : index_(index) {
  {
    const std::lock_guard lock(index_.pool_mutex_);
    if (!index_.idle_.empty()) {
      store_ = std::move(index_.idle_.back());
      index_.idle_.pop_back();
    }
  }
  if (!store_) store_ = std::make_unique<DocumentStore>(index_.folder_, false);
  constexpr int kTries = 20;
  for (int i = 1;; ++i) {
    transaction_.emplace(store_->database(), Transaction::Kind::read);
    if (what == Sees::database) return;
    try {
      look();
      return;
    } catch (const Error& error) {
      // A compaction took the old generation's folder away in between: look again.
      transaction_.reset();
      if (error.kind() != ErrorKind::not_found || i == kTries) throw;
    }
  }
}

void FolderIndex::Reader::look() {
  const auto state = store_->state();
  std::shared_ptr<const Snapshot> last;
  {
    const std::lock_guard lock(index_.pool_mutex_);
    last = index_.last_;
  }
  if (last && last->state == state) {
    snapshot_ = std::move(last);
    return;
  }
  snapshot_ = take_snapshot(index_.folder_, index_.spec_, *store_, last.get());
  const std::lock_guard lock(index_.pool_mutex_);
  index_.last_ = snapshot_;
}

FolderIndex::Reader::~Reader() {
  transaction_.reset();
  constexpr size_t kMostIdle = 32;
  const std::lock_guard lock(index_.pool_mutex_);
  if (index_.idle_.size() < kMostIdle) index_.idle_.push_back(std::move(store_));
}

}  // namespace akin::index
