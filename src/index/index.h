// An index that is kept: documents (id, text, metadata) in SQLite, their vectors in mapped files
// beside it, words for BM25, optionally a graph. Embeds nothing: vectors come from the caller,
// whose model must have the fingerprint that the index was made with.
//
// A folder: index.db (SQLite, WAL), index.lock, and vectors-<n>/ with vectors.*, codes.* and
// graph.hnsw; compacting writes the next n and then names it in index.db. What add() and remove()
// have acknowledged is there after a crash at any moment; what they have not is gone as a whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mat.h"
#include "base/progress.h"
#include "index/hnsw.h"
#include "index/vector_store.h"

namespace akin::index {

struct IndexSpec {
  VectorStoreSpec vectors;
  std::string model;         // name, for people
  std::string model_source;  // what opens it again: a folder or a name; may be empty
  std::string fingerprint;   // EncoderInfo::fingerprint; "" = not checked
  // How the model was opened, as far as the fingerprint depends on it; empty or 0: not known, its
  // own.
  std::string precision, pooling;
  double rope_base = 0;
  std::string similarity = "cosine";  // or dot. cosine: vectors are kept at unit length
  std::string document_prompt;  // literal prompt that documents were embedded with, and the LoRA
  std::string document_task;    // task: search needs its counterpart
  bool graph = false;
  HnswSpec hnsw;
  bool words = true;  // keep BM25 postings
};

struct Document {
  std::string id;
  std::string text;
  std::string metadata;  // a JSON object, or empty
};

enum class Mode : uint8_t { vector, words, hybrid };  // hybrid: reciprocal-rank fusion
enum class Method : uint8_t { automatic, exact, funnel, graph };
std::span<const std::string_view> choices(Mode);
std::span<const std::string_view> choices(Method);

struct SearchOptions {
  size_t k = 10;
  Mode mode = Mode::vector;
  Method method = Method::automatic;  // graph when there is one, else funnel when codes are, else
                                      // exact; exact where few rows may be answers
  std::optional<CodeSpec> code;       // of Method::exact; none: the full vectors
  bool once = false;  // one search only: automatic reads no graph, which takes longer than a scan
  std::vector<FunnelStage> stages;  // of Method::funnel; empty: funnel_schedule()
  size_t breadth = 0;               // of Method::graph; 0: max(400, 4 k)
  std::string filter;               // see filter.h; empty: none
  size_t candidates = 0;            // of each list that hybrid joins; 0: max(100, 4 k)
  double fusion_constant = 60;      // RRF: sum 1 / (constant + rank)
};

struct SearchHit {
  double score = 0;  // of the mode: similarity, BM25 (higher is better) or fused
  Document document;
  std::optional<double> similarity, bm25;  // the parts of a hybrid score, where the list had it
};

struct IndexStats {
  uint64_t documents = 0, rows = 0, removed_rows = 0, vector_bytes = 0, code_bytes = 0,
           database_bytes = 0, graph_bytes = 0;
};

enum class IfPresent : uint8_t { replace, skip, error };
std::span<const std::string_view> choices(IfPresent);

// Readers run beside one writer, in other processes too (a lock file keeps a second writer out).
class Index {
 public:
  // Errors: usage, a folder that holds something; io.
  static std::unique_ptr<Index> create(const std::filesystem::path& folder, const IndexSpec& spec);
  // Errors: not_found; bad_format; usage, another process writes.
  static std::unique_ptr<Index> open(const std::filesystem::path& folder, bool writable);
  virtual ~Index() = default;

  virtual const IndexSpec& spec() const = 0;
  virtual IndexStats stats() const = 0;
  // Opens and checks what a search by vectors reads, so that the first one need not. Errors:
  // not_found, bad_format.
  virtual void open_vectors() const = 0;
  // Errors: usage, naming both models, unless the fingerprints agree.
  virtual void check_model(std::string_view model, std::string_view fingerprint) const = 0;

  // All or nothing, durable when it returns. vectors: [documents.size(), E]. Returns how many were
  // added or replaced. Errors: usage (an id twice or present, bad metadata JSON, width), io.
  virtual size_t add(std::span<const Document> documents, MatView<const float> vectors,
                     IfPresent if_present) = 0;
  // Returns how many were there.
  virtual size_t remove(std::span<const std::string> ids) = 0;
  virtual std::optional<Document> get(std::string_view id) const = 0;
  // Rewrites the files without removed rows and brings the graph up to date. Interruptible; a crash
  // leaves the old ones.
  virtual void compact(const ProgressSink& progress) = 0;
  // Adds the rows that the graph lacks and saves it; does nothing when the spec has none. Until
  // then they are found all the same, by looking at each.
  virtual void update_graph(const ProgressSink& progress) = 0;

  // text: for words and hybrid; vector: for vector and hybrid (may be empty otherwise).
  // Thread-safe.
  virtual std::vector<SearchHit> search(std::string_view text, std::span<const float> vector,
                                        const SearchOptions& options) const = 0;
};

}  // namespace akin::index
