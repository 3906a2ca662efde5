// Vectors on disk, mapped: rows appended in order, one file per code and prefix length, searched in
// place. Knows row numbers only; ids, texts and which rows still live are document_store.h's.
//
// Shapes: N rows, E dims. Rows are unit vectors (cosine) or as the caller wants (dot).
//
// Files below the store's folder: vectors.f32 (or .f16), and one file per extra code,
// `codes.<code>.<dims>`. Each begins with a 64-byte head (magic, code, dims); a row count is not in
// it: the owner says how many rows are valid (rows beyond, from a crash, are cut when the store is
// opened for writing). Valid rows are never written to again, so readers in other processes, who
// were told an earlier count, are not disturbed.
//
// What a score is: the dot product of query and row under the code (code.h). Over the first Ds < E
// dims the two prefixes are scaled to length 1 first, so it is the cosine of the prefixes; with
// unit_prefixes off they are taken as they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/mat.h"
#include "base/threads.h"
#include "index/code.h"

namespace akin::index {

struct RowHit {
  float score = 0;
  uint32_t row = 0;
};

// A prefix of the dims under one code: what a stage of a funnel scans.
struct CodeSpec {
  Code code = Code::f32;
  size_t dims = 0;
  bool operator==(const CodeSpec&) const = default;
};

struct VectorStoreSpec {
  size_t dims = 0;
  Code full = Code::f32;        // f32 or f16: the vectors themselves
  std::vector<CodeSpec> extra;  // kept beside them
  bool unit_prefixes = true;    // off: for dot products of vectors of any length
};

// Which rows may be answers: bit r of word r / 64. Empty: all.
using RowMask = std::span<const uint64_t>;

// One stage of adaptive retrieval (methods.md 7.2): score the survivors of the stage before (the
// first: all rows) with this code, keep the best `keep`.
struct FunnelStage {
  CodeSpec code;
  size_t keep = 0;
};

// Thread-safe for readers; appends need the store for themselves. Results do not depend on the
// number of threads; equal scores: the lower row first.
class VectorStore {
 public:
  // Errors: usage, a folder that holds a store; io.
  static std::unique_ptr<VectorStore> create(const std::filesystem::path& folder,
                                             const VectorStoreSpec& spec);
  // `rows` valid rows. Writable: a file of codes that is lost, cut or of another spec is made again
  // from the vectors. Errors: bad_format, files too short or of another spec; not_found.
  static std::unique_ptr<VectorStore> open(const std::filesystem::path& folder,
                                           const VectorStoreSpec& spec, size_t rows, bool writable);
  virtual ~VectorStore() = default;

  virtual const VectorStoreSpec& spec() const = 0;
  virtual size_t rows() const = 0;

  // Rows go behind the last; on disk (fsync) when this returns. Errors: io (nothing is added),
  // usage (width, a number that is not finite).
  virtual void append(MatView<const float> rows) = 0;

  // The vector of a row as f32. out: E.
  virtual void read(uint32_t row, std::span<float> out) const = 0;

  // Exact search under one code: looks at every allowed row (a row behind the mask's end is not
  // allowed). queries: [Q, code.dims or longer]; best first. The code of the full vectors is there
  // for any number of first dims, and so is f32, which then means the full vectors whatever their
  // code. Interruptible. Errors: usage, a code that is not kept (names those that are), queries too
  // short or not finite.
  virtual std::vector<std::vector<RowHit>> scan(MatView<const float> queries, size_t k,
                                                const CodeSpec& code, RowMask allowed,
                                                ThreadPool& pool) const = 0;
  // The stages one after another; the last one's scores are the answer's. Errors: usage, as scan().
  virtual std::vector<RowHit> funnel(std::span<const float> query,
                                     std::span<const FunnelStage> stages, RowMask allowed,
                                     ThreadPool& pool) const = 0;
};

// The cheapest code over all rows, then integers over all dims where they are kept, then the full
// vectors; each stage hands on as many rows as its code's errors ask for. One bit a dim over all
// dims, with int8 beside it, finds most for its cost. Without extra codes: exact search.
std::vector<FunnelStage> funnel_schedule(const VectorStoreSpec& spec, size_t rows, size_t k);

}  // namespace akin::index
