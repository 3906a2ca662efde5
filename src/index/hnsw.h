// Approximate search over a graph (hnswlib; Malkov and Yashunin, arXiv:1603.09320) with akin's own
// distance kernels. Answers are row numbers of a vector_store.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/mat.h"
#include "base/progress.h"
#include "base/threads.h"
#include "index/vector_store.h"

namespace akin::index {

inline constexpr size_t kLeastHnswLinks = 2, kMostHnswLinks = 1024,
                        kMostHnswBreadth = size_t{1} << 20;

struct HnswSpec {
  size_t links = 16;           // M: links a row makes; twice as many are kept on the ground level
  size_t build_breadth = 200;  // efConstruction
  uint64_t seed = 1;           // of the rows' levels
};

// Rows go in one after another. With a pool of one thread the graph depends on the vectors and the
// spec alone; with more, on timing too, within a fraction of a percent of recall.
// Searches may run beside each other; add() needs the graph for itself.

class Hnsw {
 public:
  // Errors: usage, a spec out of range.
  static std::unique_ptr<Hnsw> create(size_t dims, const HnswSpec& spec);
  // Errors: not_found; bad_format, foreign or torn files, each bound checked before hnswlib sees
  // it.
  static std::unique_ptr<Hnsw> load(const std::filesystem::path& file, size_t dims);
  virtual ~Hnsw() = default;
  virtual size_t rows() const = 0;
  // Row i of vectors becomes row first + i; first = rows(). Interrupted, rows() says how many are
  // in, and adding the rest goes on from there. Errors: usage (width, order, a number not finite).
  virtual void add(MatView<const float> vectors, size_t first, ThreadPool& pool,
                   const ProgressSink& progress = {}) = 0;
  virtual void save(const std::filesystem::path& file) const = 0;  // written aside, renamed
  // Best first, score = dot product (kernels::dot, to the bit). breadth: efSearch, at least k. Rows
  // not allowed are walked through but never answers; where so few are allowed that walking would
  // cost more, or the walk finds fewer than there are, every allowed row is looked at instead. So
  // there are always min(k, allowed rows) answers. Errors: usage (width, a number not finite).
  virtual std::vector<RowHit> search(std::span<const float> query, size_t k, size_t breadth,
                                     RowMask allowed) const = 0;
};

}  // namespace akin::index
