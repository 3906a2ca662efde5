// The indexes that a server carries: texts embedded through the Service, then searched, added or
// removed on the workers. Opens nothing itself. One writer at a time per index; readers beside it.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "serve/host_workers.h"
#include "serve/index_service.h"

namespace akin::serve {

struct CarriedIndex {
  std::string name;                     // as clients know it
  std::string model;                    // served name of the model whose vectors it holds
  std::shared_ptr<index::Index> index;  // shared with requests under way
  bool writable = false;
};

class HostIndex final : public IndexService {
 public:
  // Errors: usage, a name twice, or an index made by another model than the served one.
  HostIndex(Service& service, Workers& workers, std::vector<CarriedIndex> indexes);

  std::vector<IndexStatus> indexes() const override;
  IndexStatus index(std::string_view name) const override;
  void search(IndexSearchRequest request, const Call& call,
              std::function<void(Outcome<IndexSearchResult>)> done) override;
  void add(IndexAddRequest request, const Call& call,
           std::function<void(Outcome<IndexAddResult>)> done) override;
  void remove(std::string index, std::vector<std::string> ids, const Call& call,
              std::function<void(Outcome<size_t>)> done) override;
  std::optional<index::Document> get(std::string_view index, std::string_view id) const override;

 private:
  struct Entry {
    CarriedIndex carried;
    std::mutex writing;
  };
  Entry& entry(std::string_view name) const;
  Entry& writable_entry(std::string_view name) const;
  void check_model(const Entry& entry) const;
  // A request for vectors as the index's own are.
  EmbedRequest embed_request(const Entry& entry, std::vector<std::string> texts, Side side) const;

  Service& service_;
  Workers& workers_;
  std::vector<std::unique_ptr<Entry>> entries_;
};

}  // namespace akin::serve
