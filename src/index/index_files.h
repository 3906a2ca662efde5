// The implementation of Index: a folder, connections for readers, one writer. Split over index.cc
// (open, create, questions), index_search.cc and index_write.cc. Internal to index/.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/threads.h"
#include "index/document_store.h"
#include "index/filter_cache.h"
#include "index/index.h"
#include "index/index_snapshot.h"
#include "index/write_lock.h"

namespace akin::index {

class FolderIndex final : public Index {
 public:
  FolderIndex(std::filesystem::path folder, bool writable);
  FolderIndex(std::filesystem::path folder, std::unique_ptr<WriteLock> lock);

  const IndexSpec& spec() const override { return spec_; }
  IndexStats stats() const override;
  void open_vectors() const override;
  void check_model(std::string_view model, std::string_view fingerprint) const override;
  size_t add(std::span<const Document> documents, MatView<const float> vectors,
             IfPresent if_present) override;
  size_t remove(std::span<const std::string> ids) override;
  std::optional<Document> get(std::string_view id) const override;
  void compact(const ProgressSink& progress) override;
  void update_graph(const ProgressSink& progress) override;
  std::vector<SearchHit> search(std::string_view text, std::span<const float> vector,
                                const SearchOptions& options) const override;

 private:
  // A connection of the pool inside a transaction, and, where asked for, the moment that it sees.
  class Reader {
   public:
    enum class Sees : uint8_t { database, snapshot };
    Reader(const FolderIndex& index, Sees what);
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    DocumentStore& store() { return *store_; }
    const Snapshot& snapshot() const { return *snapshot_; }

   private:
    void look();
    const FolderIndex& index_;
    std::unique_ptr<DocumentStore> store_;
    std::optional<Transaction> transaction_;
    std::shared_ptr<const Snapshot> snapshot_;
  };
  struct Writer {
    std::unique_ptr<WriteLock> lock;
    std::unique_ptr<DocumentStore> store;
    std::unique_ptr<VectorStore> vectors;
    std::unique_ptr<Hnsw> graph;  // as last saved; loaded when first needed
    bool graph_known = false;
  };
  struct Query;  // of one search

  void open_writer(std::unique_ptr<WriteLock> lock);
  Writer& writer();
  void open_vectors(const StoreState& state);
  void remove_old_generations(int64_t generation) const;
  std::vector<size_t> check_documents(std::span<const Document> documents,
                                      MatView<const float> vectors, IfPresent if_present);
  Mat<float> rows_to_store(MatView<const float> vectors, std::span<const size_t> chosen) const;
  void rewrite_vectors(const ProgressSink& progress);
  void update_graph_locked(const ProgressSink& progress);

  std::vector<RowHit> by_vector(const Query& query, size_t k) const;
  std::vector<RowHit> by_graph(const Query& query, const Hnsw& graph, size_t k) const;
  Method choose_method(const Query& query, size_t k) const;

  const std::filesystem::path folder_;
  IndexSpec spec_;
  mutable std::mutex pool_mutex_;
  mutable std::vector<std::unique_ptr<DocumentStore>> idle_;
  mutable std::shared_ptr<const Snapshot> last_;
  mutable FilterCache filters_;
  mutable PostingCache postings_;
  mutable ThreadPool threads_;
  std::mutex writer_mutex_;
  std::optional<Writer> writer_;
};

}  // namespace akin::index
