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

struct HnswSpec {
  size_t links = 16;           // M
  size_t build_breadth = 200;  // efConstruction
  uint64_t seed = 1;
};

class Hnsw {
 public:
  static std::unique_ptr<Hnsw> create(size_t dims, const HnswSpec& spec);
  // Errors: bad_format, foreign or torn files, each bound checked before hnswlib sees it.
  static std::unique_ptr<Hnsw> load(const std::filesystem::path& file, size_t dims);
  virtual ~Hnsw() = default;
  virtual size_t rows() const = 0;
  // Row i of vectors becomes row first + i.
  virtual void add(MatView<const float> vectors, size_t first, ThreadPool& pool,
                   const ProgressSink& progress = {}) = 0;
  virtual void save(const std::filesystem::path& file) const = 0;  // written aside, renamed
  // Best first, score = dot product. breadth: efSearch, at least k. Masked rows are walked through
  // but never answers.
  virtual std::vector<RowHit> search(std::span<const float> query, size_t k, size_t breadth,
                                     RowMask allowed) const = 0;
};

}  // namespace akin::index
