#include "cli/top_k.h"

#include <algorithm>

namespace akin::cli {
namespace {

bool better(const Hit& a, const Hit& b) {
  return a.score > b.score || (a.score == b.score && a.row < b.row);
}

// A heap with the worst of the best k on top.
void offer(std::vector<Hit>& heap, const Hit& hit, size_t k) {
  if (heap.size() == k) {
    if (k == 0 || !better(hit, heap.front())) return;
    std::pop_heap(heap.begin(), heap.end(), better);
    heap.back() = hit;
  } else {
    heap.push_back(hit);
  }
  std::push_heap(heap.begin(), heap.end(), better);
}

}  // namespace

std::vector<Hit> top_k(ThreadPool& pool, MatView<const float> documents, const float* query,
                       Measure kind, size_t k) {
  constexpr size_t kChunk = 2048;
  std::vector<std::vector<Hit>> heaps(pool.size());
  const size_t chunks = (documents.rows() + kChunk - 1) / kChunk;
  const auto scan = [&](size_t chunk, size_t thread) {
    const size_t end = std::min(documents.rows(), (chunk + 1) * kChunk);
    for (size_t row = chunk * kChunk; row < end; ++row) {
      offer(heaps[thread], {row, measure(kind, documents.row(row), query, documents.cols())}, k);
    }
  };
  if (chunks <= 1) {
    if (chunks == 1) scan(0, 0);
  } else {
    parallel_for(pool, chunks, 1, scan);
  }
  std::vector<Hit> out;
  for (const auto& heap : heaps) out.insert(out.end(), heap.begin(), heap.end());
  std::sort(out.begin(), out.end(), better);
  out.resize(std::min(out.size(), k));
  return out;
}

}  // namespace akin::cli
