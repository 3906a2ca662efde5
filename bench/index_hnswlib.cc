// hnswlib as it comes, with its own inner-product space, compiled for this machine. Its names are
// changed, or the linker would merge them with those that the library under test was built with.
#define hnswlib peer_hnswlib
#define cpuid peer_cpuid
#define xgetbv peer_xgetbv
#define AVXCapable peer_avx_capable
#define AVX512Capable peer_avx512_capable
#include <hnswlib/hnswlib.h>

#include <atomic>
#include <thread>

#include "index_peers.h"

namespace akin::bench {
namespace {

class Graph final : public Peer {
 public:
  explicit Graph(const PeerSpec& spec) : spec_(spec), space_(spec.dims) {}
  std::string name() const override { return "hnswlib"; }
  void build(const float* rows, size_t n, size_t threads) override {
    graph_ = std::make_unique<hnswlib::HierarchicalNSW<float>>(&space_, n, spec_.links,
                                                               spec_.build_breadth, 1);
    graph_->addPoint(rows, 0);
    std::atomic<size_t> next{1};
    std::vector<std::thread> workers;
    for (size_t t = 0; t < threads; ++t) {
      workers.emplace_back([&] {
        for (size_t i = next++; i < n; i = next++) graph_->addPoint(rows + i * spec_.dims, i);
      });
    }
    for (std::thread& worker : workers) worker.join();
  }
  std::vector<uint32_t> search(const float* query, size_t k, size_t breadth) override {
    graph_->setEf(breadth);
    auto found = graph_->searchKnn(query, k);
    std::vector<uint32_t> out(found.size());
    for (size_t i = out.size(); i > 0; found.pop())
      out[--i] = static_cast<uint32_t>(found.top().second);
    return out;
  }

 private:
  PeerSpec spec_;
  hnswlib::InnerProductSpace space_;
  std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph_;
};

}  // namespace

std::unique_ptr<Peer> hnswlib_graph(const PeerSpec& spec) { return std::make_unique<Graph>(spec); }

}  // namespace akin::bench
