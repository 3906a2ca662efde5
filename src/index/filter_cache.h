// Which documents a filter lets through, kept for the filters used last. A document never changes
// (a replaced one is new), so only those added since are looked at again.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "index/document_store.h"
#include "index/filter.h"
#include "index/index_snapshot.h"

namespace akin::index {

struct AllowedDocuments {
  std::vector<uint64_t> positions;  // bit per live document
  std::vector<uint64_t> rows;       // bit per row
  size_t count = 0;
};

// Thread-safe; one search looks at documents at a time.
class FilterCache {
 public:
  // The store's transaction must be the snapshot's. Errors: usage, a bad filter.
  std::shared_ptr<const AllowedDocuments> allowed(const std::string& text, const Snapshot& snapshot,
                                                  DocumentStore& store);

 private:
  struct Entry {
    explicit Entry(const std::string& words) : text(words), filter(words) {}
    std::string text;
    Filter filter;
    std::vector<int64_t> matches;  // numbers, ascending; of removed documents too
    int64_t seen = 0;              // numbers below were looked at
    StoreState state;              // that `allowed` belongs to
    std::shared_ptr<const AllowedDocuments> allowed;
  };
  static constexpr size_t kKept = 16;
  std::mutex mutex_;
  std::list<Entry> entries_;  // last used first
};

}  // namespace akin::index
