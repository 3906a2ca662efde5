// What a search needs of an index at one moment, in memory: the mapped vectors, which rows live,
// the graph. Shared by the searches that see that moment; never changed once made. Internal to
// index/.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "index/document_store.h"
#include "index/hnsw.h"
#include "index/vector_store.h"

namespace akin::index {

// Folder with the vectors of a generation.
std::filesystem::path vectors_folder(const std::filesystem::path& folder, int64_t generation);
inline constexpr const char* kGraphName = "graph.hnsw";

// Loads the graph when a search first asks for it.
class LazyGraph {
 public:
  LazyGraph(std::filesystem::path file, size_t dims) : file_(std::move(file)), dims_(dims) {}
  // Null when there is no file. Errors: those of Hnsw::load, again at every call.
  const Hnsw* get() const;

 private:
  const std::filesystem::path file_;
  const size_t dims_;
  mutable std::mutex mutex_;
  mutable bool loaded_ = false;
  mutable std::unique_ptr<Hnsw> graph_;
};

struct Snapshot {
  StoreState state;
  LiveDocuments live;
  std::vector<uint64_t> live_rows;  // bit per row; empty: all rows live
  std::shared_ptr<const VectorStore> vectors;
  std::shared_ptr<const LazyGraph> graph;
};

// The moment that the connection's transaction sees; takes what it can from `before` (may be null).
// Errors: not_found, the folder of this generation has gone: a compaction was faster.
std::shared_ptr<const Snapshot> take_snapshot(const std::filesystem::path& folder,
                                              const IndexSpec& spec, DocumentStore& store,
                                              const Snapshot* before);

// Rows of the marked positions as a mask over rows.
std::vector<uint64_t> rows_of(const Snapshot& snapshot, std::span<const uint64_t> positions);

}  // namespace akin::index
