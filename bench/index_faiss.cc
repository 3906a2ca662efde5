// FAISS as it comes; built only where its library is.
#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <omp.h>

#include "index_peers.h"

namespace akin::bench {
namespace {

std::vector<uint32_t> search_one(const faiss::Index& index, const float* query, size_t k) {
  omp_set_num_threads(1);
  std::vector<float> scores(k);
  std::vector<faiss::Index::idx_t> rows(k);
  index.search(1, query, static_cast<faiss::Index::idx_t>(k), scores.data(), rows.data());
  std::vector<uint32_t> out;
  for (const auto row : rows) {
    if (row >= 0) out.push_back(static_cast<uint32_t>(row));
  }
  return out;
}

class Graph final : public Peer {
 public:
  explicit Graph(const PeerSpec& spec)
      : index_(static_cast<int>(spec.dims), static_cast<int>(spec.links),
               faiss::METRIC_INNER_PRODUCT) {
    index_.hnsw.efConstruction = static_cast<int>(spec.build_breadth);
  }
  std::string name() const override { return "faiss_hnsw"; }
  void build(const float* rows, size_t n, size_t threads) override {
    omp_set_num_threads(static_cast<int>(threads));
    index_.add(static_cast<faiss::Index::idx_t>(n), rows);
  }
  std::vector<uint32_t> search(const float* query, size_t k, size_t breadth) override {
    index_.hnsw.efSearch = static_cast<int>(breadth);
    return search_one(index_, query, k);
  }

 private:
  faiss::IndexHNSWFlat index_;
};

class Flat final : public Peer {
 public:
  explicit Flat(const PeerSpec& spec) : index_(static_cast<faiss::Index::idx_t>(spec.dims)) {}
  std::string name() const override { return "faiss_flat"; }
  void build(const float* rows, size_t n, size_t threads) override {
    omp_set_num_threads(static_cast<int>(threads));
    index_.add(static_cast<faiss::Index::idx_t>(n), rows);
  }
  std::vector<uint32_t> search(const float* query, size_t k, size_t) override {
    return search_one(index_, query, k);
  }

 private:
  faiss::IndexFlatIP index_;
};

}  // namespace

std::unique_ptr<Peer> faiss_graph(const PeerSpec& spec) { return std::make_unique<Graph>(spec); }
std::unique_ptr<Peer> faiss_flat(const PeerSpec& spec) { return std::make_unique<Flat>(spec); }

}  // namespace akin::bench
