// See vector_store.h. One CodeFile a code; scan.h does the searching.
#include "index/vector_store.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/progress.h"
#include "index/code_file.h"
#include "index/flat_select.h"
#include "index/scan.h"

namespace akin::index {
namespace {

constexpr size_t kMostDims = size_t{1} << 20;
constexpr size_t kMostRows = std::numeric_limits<uint32_t>::max();
constexpr size_t kEncodeBytes = 4 << 20;  // encoded and written at once

std::string name_of(const CodeSpec& code) {
  return fmt::format("{} of {} dims", code_name(code.code), code.dims);
}

CodeSpec full_code(const VectorStoreSpec& spec) { return {spec.full, spec.dims}; }

void check_spec(const VectorStoreSpec& spec) {
  const auto fail = [](std::string_view what) {
    throw_error(ErrorKind::usage, "vector store", "{}", what);
  };
  if (spec.dims == 0 || spec.dims > kMostDims)
    fail(fmt::format("vectors of {} dims, expected 1 to {}", spec.dims, kMostDims));
  if (spec.full != Code::f32 && spec.full != Code::f16)
    fail(fmt::format("vectors in {}, expected f32 or f16", code_name(spec.full)));
  for (size_t i = 0; i < spec.extra.size(); ++i) {
    const CodeSpec& code = spec.extra[i];
    if (code.dims == 0 || code.dims > spec.dims)
      fail(fmt::format("a code {}, but vectors have {}", name_of(code), spec.dims));
    if (code == full_code(spec) || std::count(spec.extra.begin(), spec.extra.end(), code) > 1)
      fail(fmt::format("the code {} twice", name_of(code)));
  }
}

std::filesystem::path file_of(const std::filesystem::path& folder, const VectorStoreSpec& spec,
                              size_t i) {
  if (i == 0) return folder / fmt::format("vectors.{}", code_name(spec.full));
  const CodeSpec& code = spec.extra[i - 1];
  return folder / fmt::format("codes.{}.{}", code_name(code.code), code.dims);
}

// The first `dims` of each row, of length 1 where unit says so.
Mat<float> prefixes(MatView<const float> rows, size_t dims, bool unit) {
  Mat<float> out(rows.rows(), dims);
  for (size_t r = 0; r < rows.rows(); ++r) {
    double squares = 0;
    for (size_t d = 0; d < dims; ++d) squares += double{rows(r, d)} * rows(r, d);
    const float factor = unit && squares > 0 ? static_cast<float>(1 / std::sqrt(squares)) : 1.0F;
    for (size_t d = 0; d < dims; ++d) out(r, d) = factor * rows(r, d);
  }
  return out;
}

bool is_scaled_prefix(const VectorStoreSpec& spec, size_t dims) {
  return spec.unit_prefixes && dims < spec.dims;
}

// rows: [n, spec.dims]; bytes: n rows of the code.
void encode_block(MatView<const float> rows, const CodeSpec& code, const VectorStoreSpec& spec,
                  std::vector<uint8_t>& bytes) {
  bytes.resize(rows.rows() * row_bytes(code.code, code.dims));
  if (code.dims == spec.dims) return encode_rows(rows, code.code, bytes);
  encode_rows(prefixes(rows, code.dims, is_scaled_prefix(spec, code.dims)).view(), code.code,
              bytes);
}

size_t rows_per_block(const VectorStoreSpec& spec) {
  return std::max<size_t>(1, kEncodeBytes / (spec.dims * sizeof(float)));
}

Mat<float> decode_block(const CodeFile& vectors, const VectorStoreSpec& spec, size_t begin,
                        size_t count) {
  Mat<float> out(count, spec.dims);
  for (size_t i = 0; i < count; ++i) {
    decode_row(vectors.data() + (begin + i) * vectors.stride(), spec.full, {out.row(i), spec.dims});
  }
  return out;
}

// Whether the codes may be those of the vectors, by some of the rows. Codes were made of f32; where
// the vectors are kept in f16 those made again differ a little, so what they stand for is compared.
void check_sample(const CodeFile& vectors, const VectorStoreSpec& spec, const CodeFile& codes,
                  const std::filesystem::path& path) {
  constexpr size_t kSample = 32;
  constexpr double kLeastCosine = 0.5;  // of what is damaged it is about 0
  std::vector<uint8_t> expected;
  const CodeSpec& code = codes.spec();
  std::vector<float> a(code.dims), b(code.dims);
  const size_t rows = vectors.rows(), sample = std::min(kSample, rows);
  for (size_t i = 0; i < sample; ++i) {
    const size_t row = sample < 2 ? 0 : i * (rows - 1) / (sample - 1);
    encode_block(decode_block(vectors, spec, row, 1).view(), code, spec, expected);
    const uint8_t* got = codes.data() + row * codes.stride();
    if (std::equal(expected.begin(), expected.end(), got)) continue;
    decode_row(expected.data(), code.code, a);
    decode_row(got, code.code, b);
    double ab = 0, aa = 0, bb = 0;
    for (size_t d = 0; d < code.dims; ++d) {
      ab += double{a[d]} * b[d];
      aa += double{a[d]} * a[d];
      bb += double{b[d]} * b[d];
    }
    if (ab > 0 && ab * ab >= kLeastCosine * kLeastCosine * aa * bb) continue;
    throw_error(ErrorKind::bad_format, path.string(), "row {} is not the code of its vector", row);
  }
}

// A file of codes follows from the vectors: it is written again, beside its place, and moved there.
void remake_codes(const CodeFile& vectors, const VectorStoreSpec& spec, const CodeSpec& code,
                  const std::filesystem::path& path) {
  std::filesystem::path beside = path;
  beside += ".tmp";
  std::error_code error;
  std::filesystem::remove(beside, error);
  {
    CodeFile out = CodeFile::create(beside, code, spec.unit_prefixes);
    std::vector<uint8_t> bytes;
    const size_t step = rows_per_block(spec);
    for (size_t begin = 0; begin < vectors.rows(); begin += step) {
      check_interrupted();
      const size_t count = std::min(step, vectors.rows() - begin);
      encode_block(decode_block(vectors, spec, begin, count).view(), code, spec, bytes);
      out.write(bytes);
    }
    out.sync();
  }
  std::filesystem::rename(beside, path, error);
  if (error) throw_error(ErrorKind::io, path.string(), "cannot replace: {}", error.message());
  sync_folder(path.parent_path());
}

// A writer makes codes anew that are lost, cut or damaged; a reader says who would.
CodeFile open_codes(const CodeFile& vectors, const VectorStoreSpec& spec, const CodeSpec& code,
                    const std::filesystem::path& path, bool writable) {
  const auto open = [&] {
    CodeFile file = CodeFile::open(path, code, spec.unit_prefixes, vectors.rows(), writable);
    check_sample(vectors, spec, file, path);
    return file;
  };
  try {
    return open();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found && error.kind() != ErrorKind::bad_format) throw;
    if (!writable) {
      throw_error(error.kind(), error.where(),
                  "{}. Codes follow from the vectors: whatever writes to the index makes them "
                  "again, such as akin index compact",
                  error.message());
    }
  }
  remake_codes(vectors, spec, code, path);
  return open();
}

class Store final : public VectorStore {
 public:
  Store(const VectorStoreSpec& spec, std::vector<CodeFile> files, size_t rows)
      : spec_(spec), files_(std::move(files)), rows_(rows) {}

  const VectorStoreSpec& spec() const override { return spec_; }
  size_t rows() const override { return rows_; }

  void append(MatView<const float> rows) override {
    check_rows(rows);
    if (rows.rows() == 0) return;
    try {
      const size_t step = rows_per_block(spec_);
      for (size_t begin = 0; begin < rows.rows(); begin += step) {
        check_interrupted();
        write(rows.row_range(begin, std::min(step, rows.rows() - begin)));
      }
      for (CodeFile& file : files_) file.sync();
      for (CodeFile& file : files_) file.accept(rows_ + rows.rows());
    } catch (...) {
      for (CodeFile& file : files_) file.withdraw(rows_);
      throw;
    }
    rows_ += rows.rows();
  }

  void read(uint32_t row, std::span<float> out) const override {
    AKIN_CHECK(row < rows_ && out.size() == spec_.dims);
    const CodeFile& file = files_.front();
    decode_row(file.data() + row * file.stride(), spec_.full, out);
  }

  std::vector<std::vector<RowHit>> scan(MatView<const float> queries, size_t k,
                                        const CodeSpec& code, RowMask allowed,
                                        ThreadPool& pool) const override {
    const CodeRows rows = find(code);
    return scan_rows(rows, encode(queries, rows.spec), k, allowed, pool);
  }

  std::vector<RowHit> funnel(std::span<const float> query, std::span<const FunnelStage> stages,
                             RowMask allowed, ThreadPool& pool) const override {
    if (stages.empty()) throw_error(ErrorKind::usage, "search", "a funnel without stages");
    std::vector<CodeRows> rows;
    for (const FunnelStage& stage : stages) rows.push_back(find(stage.code));
    const MatView<const float> queries(query.data(), 1, query.size());
    std::vector<RowHit> hits = std::move(
        scan_rows(rows[0], encode(queries, rows[0].spec), stages[0].keep, allowed, pool)[0]);
    std::vector<uint32_t> survivors;
    for (size_t s = 1; s < stages.size(); ++s) {
      survivors.resize(hits.size());
      std::transform(hits.begin(), hits.end(), survivors.begin(),
                     [](const RowHit& hit) { return hit.row; });
      std::sort(survivors.begin(), survivors.end());
      hits = rescore_rows(rows[s], encode(queries, rows[s].spec), stages[s].keep, survivors, pool);
    }
    return hits;
  }

 private:
  void check_rows(MatView<const float> rows) const {
    if (rows.rows() == 0) return;
    if (rows.cols() != spec_.dims)
      throw_error(ErrorKind::usage, "vector store", "vectors of {} dims, the store has {}",
                  rows.cols(), spec_.dims);
    if (rows.rows() > kMostRows - rows_)
      throw_error(ErrorKind::usage, "vector store", "{} rows and {} more: at most {} fit", rows_,
                  rows.rows(), kMostRows);
    const bool halves = spec_.full == Code::f16 ||
                        std::any_of(spec_.extra.begin(), spec_.extra.end(),
                                    [](const CodeSpec& c) { return c.code == Code::f16; });
    for (size_t r = 0; r < rows.rows(); ++r) {
      const float* row = rows.row(r);
      if (!all_finite(row, spec_.dims))
        throw_error(ErrorKind::usage, "vector store",
                    "vector {} holds a value that is not a finite number; check the model and the "
                    "text",
                    r);
      if (halves &&
          std::any_of(row, row + spec_.dims, [](float x) { return std::abs(x) > kLargestHalf; }))
        throw_error(ErrorKind::usage, "vector store",
                    "vector {} holds a value over {}, which f16 cannot hold; keep f32", r,
                    kLargestHalf);
    }
  }

  void write(MatView<const float> rows) {
    std::vector<uint8_t> bytes;
    for (CodeFile& file : files_) {
      encode_block(rows, file.spec(), spec_, bytes);
      file.write(bytes);
    }
  }

  CodeRows rows_of(const CodeFile& file, const CodeSpec& spec) const {
    const bool prefix = spec.dims < file.spec().dims;
    return {spec, file.data(), file.stride(), rows_, prefix && is_scaled_prefix(spec_, spec.dims)};
  }

  CodeRows find(const CodeSpec& code) const {
    for (const CodeFile& file : files_) {
      if (file.spec() == code) return rows_of(file, code);
    }
    if ((code.code == spec_.full || code.code == Code::f32) && code.dims >= 1 &&
        code.dims <= spec_.dims)
      return rows_of(files_.front(), {spec_.full, code.dims});
    std::string kept = fmt::format("{} of 1 to {} dims", code_name(spec_.full), spec_.dims);
    for (const CodeSpec& extra : spec_.extra) kept += ", " + name_of(extra);
    throw_error(ErrorKind::usage, "search", "the code {} is not kept; there are {}", name_of(code),
                kept);
  }

  CodeQueries encode(MatView<const float> queries, const CodeSpec& code) const {
    if (queries.cols() < code.dims || queries.cols() > spec_.dims)
      throw_error(ErrorKind::usage, "search", "queries of {} dims, expected {} to {}",
                  queries.cols(), code.dims, spec_.dims);
    for (size_t q = 0; q < queries.rows(); ++q) {
      if (!all_finite(queries.row(q), queries.cols()))
        throw_error(ErrorKind::usage, "search",
                    "query {} holds a value that is not a finite number; check the model and the "
                    "text",
                    q);
    }
    return {queries, code, is_scaled_prefix(spec_, code.dims)};
  }

  VectorStoreSpec spec_;
  std::vector<CodeFile> files_;  // the full vectors, then spec_.extra
  size_t rows_;
};

}  // namespace

std::unique_ptr<VectorStore> VectorStore::create(const std::filesystem::path& folder,
                                                 const VectorStoreSpec& spec) {
  check_spec(spec);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw_error(ErrorKind::io, folder.string(), "cannot create: {}", error.message());
  std::vector<CodeFile> files;
  for (size_t i = 0; i <= spec.extra.size(); ++i) {
    const CodeSpec code = i == 0 ? full_code(spec) : spec.extra[i - 1];
    files.push_back(CodeFile::create(file_of(folder, spec, i), code, spec.unit_prefixes));
  }
  sync_folder(folder);
  return std::make_unique<Store>(spec, std::move(files), 0);
}

std::unique_ptr<VectorStore> VectorStore::open(const std::filesystem::path& folder,
                                               const VectorStoreSpec& spec, size_t rows,
                                               bool writable) {
  check_spec(spec);
  if (rows > kMostRows)
    throw_error(ErrorKind::bad_format, folder.string(), "{} rows, at most {} are possible", rows,
                kMostRows);
  std::vector<CodeFile> files;
  files.push_back(CodeFile::open(file_of(folder, spec, 0), full_code(spec), spec.unit_prefixes,
                                 rows, writable));
  for (size_t i = 1; i <= spec.extra.size(); ++i) {
    files.push_back(
        open_codes(files.front(), spec, spec.extra[i - 1], file_of(folder, spec, i), writable));
  }
  return std::make_unique<Store>(spec, std::move(files), rows);
}

}  // namespace akin::index
