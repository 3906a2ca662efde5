// What dialects may ask of the indexes that a server carries: search, add, remove, look up. Texts
// are embedded by the server's own model, queries and documents on their side. Implemented by
// host_index.h; Service::indexes() gives it, or null where the server carries none.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "index/index.h"
#include "serve/request.h"
#include "serve/service.h"

namespace akin::serve {

struct IndexSearchRequest {
  std::string index;                        // as the client named it; empty: the first one
  std::vector<std::string> queries;         // either these: embedded as queries (not for words)
  std::vector<std::vector<float>> vectors;  // or these, one a query; queries may stand beside
  index::SearchOptions options;
};

struct IndexSearchResult {
  std::string index, model;                         // served names
  std::vector<std::vector<index::SearchHit>> hits;  // one list a query
  Usage usage;
  Timing timing;
};

struct IndexAddRequest {
  std::string index;
  std::vector<index::Document> documents;
  index::IfPresent if_present = index::IfPresent::replace;
  std::optional<Truncate> truncate;  // none: the server's default
};

struct IndexAddResult {
  std::string index;
  size_t added = 0;  // or replaced
  Usage usage;
};

struct IndexStatus {
  std::string name, model;  // served names
  index::IndexSpec spec;
  index::IndexStats stats;
  bool writable = false;
};

// Thread-safe. `done` as Service says: exactly once, from any thread, never from within the call.
// Errors: not_found for an unknown index (naming the known ones); unsupported for a change to an
// index that is served read-only; what index::Index throws.
class IndexService {
 public:
  virtual ~IndexService() = default;
  virtual std::vector<IndexStatus> indexes() const = 0;
  // Empty: the first.
  virtual IndexStatus index(std::string_view name) const = 0;
  virtual void search(IndexSearchRequest request, const Call& call,
                      std::function<void(Outcome<IndexSearchResult>)> done) = 0;
  // All or nothing; on disk when `done` says so.
  virtual void add(IndexAddRequest request, const Call& call,
                   std::function<void(Outcome<IndexAddResult>)> done) = 0;
  // How many of the ids were there.
  virtual void remove(std::string index, std::vector<std::string> ids, const Call& call,
                      std::function<void(Outcome<size_t>)> done) = 0;
  // None: no such document.
  virtual std::optional<index::Document> get(std::string_view index, std::string_view id) const = 0;
};

}  // namespace akin::serve
