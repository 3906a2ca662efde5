// The graphs and flat indexes that index_bench.cc compares with, behind one interface, so that each
// library's headers stay in a file of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace akin::bench {

class Peer {
 public:
  virtual ~Peer() = default;
  virtual std::string name() const = 0;
  // rows: [n, dims]; added at once, by so many threads.
  virtual void build(const float* rows, size_t n, size_t threads) = 0;
  // Row numbers, best first. breadth: efSearch; a flat index ignores it.
  virtual std::vector<uint32_t> search(const float* query, size_t k, size_t breadth) = 0;
};

struct PeerSpec {
  size_t dims = 0, links = 16, build_breadth = 200;
};
std::unique_ptr<Peer> hnswlib_graph(const PeerSpec& spec);  // its own inner-product space
#ifdef AKIN_BENCH_FAISS
std::unique_ptr<Peer> faiss_graph(const PeerSpec& spec);  // IndexHNSWFlat
std::unique_ptr<Peer> faiss_flat(const PeerSpec& spec);   // IndexFlatIP
#endif

}  // namespace akin::bench
