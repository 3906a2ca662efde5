// How the work is cut: columns into tiles, rows into chunks (a task each) and those into blocks, so
// that a tile of dot products with the gradients of every prefix stays in L2. Sums over the rows of
// a chunk are added chunk by chunk in order, so nothing depends on who computed what.
//
// d cos(q, c) / d q = (c / |c| - cos q / |q|) / |q|: the first half is a product of matrices, whose
// factor for the dims of one prefix is the sum over this prefix and all longer ones; the second is
// one number a row and prefix, taken from the logits themselves.
#include "kernels/in_batch_softmax.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/elementwise.h"
#include "kernels/softmax_rows.h"
#include "kernels/train_product.h"

namespace akin::kernels {
namespace {

constexpr size_t kBlockRows = 144, kTileCols = 384;       // 216 KB of logits
constexpr size_t kChunksMost = 16;                        // of rows
constexpr size_t kPartialBytesMost = size_t{256} << 20U;  // candidates' gradients, one a chunk
constexpr size_t kKeptBytesMost = size_t{4} << 20U;       // dot products of all prefixes
constexpr double kOneShiftMost = 80;  // range of logits that one shift keeps inside f32's exponents
constexpr float kLowest = -3.0e38F;

// K rows of n values.
template <typename T>
class Table {
 public:
  void reset(size_t rows, size_t cols, T value) {
    cols_ = cols;
    values_.assign(rows * cols, value);
  }
  T* operator[](size_t row) { return values_.data() + row * cols_; }
  const T* operator[](size_t row) const { return values_.data() + row * cols_; }

 private:
  size_t cols_ = 0;
  std::vector<T> values_;
};

struct Range {
  size_t begin, end;
  size_t size() const { return end - begin; }
};

// Candidates [begin, end), packed for every prefix's own dims.
struct Tile {
  Range cols;
  std::vector<RightOperand> across;  // for logits
  std::vector<RightOperand> along;   // for the queries' gradient
};

// A thread's own.
struct Scratch {
  AlignedArray<float> dots;
  std::vector<AlignedArray<float>> slopes;  // K: dL/d dot
  std::vector<LeftOperand> queries;         // K
  std::vector<RightOperand> query_panels;   // K: for the candidates' gradient
  LeftOperand left;
};

class Job {
 public:
  Job(const InBatchSoftmax& in, ThreadPool& pool, bool gradients)
      : in_(in), pool_(pool), gradients_(gradients), scratch_(pool.size()) {
    cut();
    pack();
    list_skipped();
    choose_shifts();
  }
  InBatchSoftmaxValue value();
  void gradient(MatView<float> d_queries, MatView<float> d_candidates);

 private:
  size_t rows() const { return in_.queries.rows(); }
  size_t cols() const { return in_.candidates.size(); }
  size_t prefixes() const { return in_.dims.size(); }
  Range dims(size_t k) const { return {k == 0 ? 0 : in_.dims[k - 1], in_.dims[k]}; }
  Range chunk(size_t c) const {
    return {std::min(c * chunk_rows_, rows()), std::min((c + 1) * chunk_rows_, rows())};
  }

  void cut();
  void pack();
  void pack_tile(Tile& tile, size_t k);
  void norms_of(const float* vector, Table<float>& out, size_t index);
  void list_skipped();
  void choose_shifts();
  void count_row(size_t k, size_t i, InBatchSoftmaxValue& out);

  // visit(first, last): pieces of row i inside `cols` that hold neither its positive nor what is
  // excluded.
  template <typename Visit>
  void pieces(size_t i, Range cols, const Visit& visit) const;
  // visit(k, i, tile, row i's dot products with the tile), for every prefix of every tile;
  // done(tile) after the last.
  template <typename Visit, typename Done>
  void tiles(Range block, Scratch& scratch, const Visit& visit, const Done& done);
  void pack_queries(Range block, Scratch& scratch) const;
  bool keeps() const { return kept_.size() > 0; }
  MatView<float> kept(size_t k, Range block, const Tile& tile);
  MatView<float> multiplied(size_t k, Range block, const Tile& tile, Scratch& scratch);
  // Calls work(chunk, block, scratch) for all blocks; chunks in parallel.
  template <typename Work>
  void blocks(const Work& work);

  LogitRow logits(size_t k, size_t i, Range piece, const Tile& tile, const float* dots) const;
  LogitShifts shifts(size_t k, size_t i, size_t col) const;
  float positive_logit(size_t k, size_t i, const Tile& tile, const float* dots) const;
  void slopes(size_t k, size_t i, const Tile& tile, const float* dots, float* column_sums,
              float* out);
  void products(size_t chunk_index, Range block, const Tile& tile, Scratch& scratch,
                MatView<float> d_queries);
  void finish_queries(MatView<float> d_queries);
  void finish_candidates(MatView<float> d_candidates);
  void subtract_along(const float* vector, const Table<double>& along,
                      const Table<float>& inverse_norms, size_t index, float* out) const;

  const InBatchSoftmax& in_;
  ThreadPool& pool_;
  const bool gradients_;
  bool one_shift_ = true, finite_ = true;
  bool has_kept_ = false;  // whether a pass has filled kept_
  size_t chunks_ = 1, chunk_rows_ = 1;
  std::vector<Tile> tiles_;
  std::vector<Scratch> scratch_;
  std::vector<size_t> skipped_begin_;  // [B + 1]
  std::vector<uint32_t> skipped_;      // excluded candidates and the positive, ascending
  // Of query rows, [K, B], and of candidate columns, [K, C].
  Table<float> row_inverse_, row_shift_, row_weight_, largest_, positive_;
  Table<float> col_inverse_, col_shift_, col_weight_;
  Table<double> row_sums_, row_along_, col_along_;
  Table<float> partial_;              // [chunks * K, C]
  AlignedArray<float> kept_;          // [K, B, C], or nothing
  AlignedArray<float> d_candidates_;  // [chunks, C, E]
};

void Job::cut() {
  const size_t all = prefixes(), width = in_.queries.cols();
  const size_t one = std::max<size_t>(1, cols() * width * sizeof(float));
  const size_t most = std::clamp<size_t>(kPartialBytesMost / one, 1, kChunksMost);
  chunks_ = std::clamp<size_t>((rows() + kBlockRows - 1) / kBlockRows, 1, most);
  const size_t even = (rows() + chunks_ - 1) / chunks_;
  chunk_rows_ = (even + 11) / 12 * 12;  // whole tiles of the products
  chunks_ = (rows() + chunk_rows_ - 1) / chunk_rows_;
  for (size_t col = 0; col < cols(); col += kTileCols) {
    Tile& tile = tiles_.emplace_back();
    tile.cols = {col, std::min(col + kTileCols, cols())};
    tile.across.resize(all);
    tile.along.resize(gradients_ ? all : 0);
  }
  row_inverse_.reset(all, rows(), 0);
  row_shift_.reset(all, rows(), 0);
  largest_.reset(all, rows(), kLowest);
  positive_.reset(all, rows(), 0);
  row_sums_.reset(all, rows(), 0);
  col_inverse_.reset(all, cols(), 0);
  col_shift_.reset(all, cols(), 0);
  if (!gradients_) return;
  const size_t products = all * rows() * cols();
  if (products <= kKeptBytesMost / sizeof(float)) kept_.reset(products);
  row_weight_.reset(all, rows(), 0);
  col_weight_.reset(all, cols(), 0);
  row_along_.reset(all, rows(), 0);
  col_along_.reset(all, cols(), 0);
}

void Job::norms_of(const float* vector, Table<float>& out, size_t index) {
  float squares = 0;
  for (size_t k = 0; k < prefixes(); ++k) {
    const float* part = vector + dims(k).begin;
    squares += dot(part, part, dims(k).size());
    out[k][index] = squares == 0 ? 0.0F : 1 / std::sqrt(squares);
  }
}

void Job::pack_tile(Tile& tile, size_t k) {
  std::vector<const float*> parts(tile.cols.size());
  for (size_t j = 0; j < parts.size(); ++j)
    parts[j] = in_.candidates[tile.cols.begin + j] + dims(k).begin;
  RightOperand& across = tile.across[k];
  across.reserve(ProductNumbers::f32, dims(k).size(), parts.size());
  across.pack_transposed(parts, 0, across.panels());
  if (!gradients_) return;
  RightOperand& along = tile.along[k];
  along.reserve(ProductNumbers::f32, parts.size(), dims(k).size());
  along.pack(parts, 0, along.panels());
}

void Job::pack() {
  parallel_for(pool_, tiles_.size() * prefixes(), 1, [&](size_t task, size_t) {
    pack_tile(tiles_[task / prefixes()], task % prefixes());
  });
  parallel_for(pool_, rows() + cols(), 64, [&](size_t task, size_t) {
    if (task < rows()) return norms_of(in_.queries.row(task), row_inverse_, task);
    norms_of(in_.candidates[task - rows()], col_inverse_, task - rows());
  });
  // 1 / inf is 0, and 1 / NaN is NaN: neither passes for a norm.
  const size_t last = prefixes() - 1;
  const auto odd = [&](const float* vector, float inverse) {
    return !std::isfinite(inverse) ||
           (inverse == 0 && !std::isfinite(dot(vector, vector, in_.dims[last])));
  };
  for (size_t i = 0; i < rows(); ++i) finite_ &= !odd(in_.queries.row(i), row_inverse_[last][i]);
  for (size_t j = 0; j < cols(); ++j) finite_ &= !odd(in_.candidates[j], col_inverse_[last][j]);
}

void Job::list_skipped() {
  skipped_begin_.reserve(rows() + 1);
  skipped_.reserve(rows() + in_.excluded.size());
  for (size_t i = 0; i < rows(); ++i) {
    skipped_begin_.push_back(skipped_.size());
    if (!in_.excluded_begin.empty()) {
      for (size_t e = in_.excluded_begin[i]; e < in_.excluded_begin[i + 1]; ++e)
        skipped_.push_back(in_.excluded[e]);
    }
    const auto begin = skipped_.begin() + static_cast<ptrdiff_t>(skipped_begin_.back());
    const auto own = static_cast<uint32_t>(i);
    skipped_.insert(std::lower_bound(begin, skipped_.end(), own), own);
  }
  skipped_begin_.push_back(skipped_.size());
}

template <typename Visit>
void Job::pieces(size_t i, Range cols, const Visit& visit) const {
  const auto end = skipped_.begin() + static_cast<ptrdiff_t>(skipped_begin_[i + 1]);
  auto next = std::lower_bound(skipped_.begin() + static_cast<ptrdiff_t>(skipped_begin_[i]), end,
                               static_cast<uint32_t>(cols.begin));
  size_t from = cols.begin;
  for (; next != end && *next < cols.end; ++next) {
    if (*next > from) visit(Range{from, *next});
    from = size_t{*next} + 1;
  }
  if (from < cols.end) visit(Range{from, cols.end});
}

void Job::pack_queries(Range block, Scratch& scratch) const {
  scratch.queries.resize(prefixes());
  for (size_t k = 0; k < prefixes(); ++k) {
    scratch.queries[k].set(
        ProductNumbers::f32,
        in_.queries.row_range(block.begin, block.size()).col_range(dims(k).begin, dims(k).size()));
  }
}

MatView<float> Job::kept(size_t k, Range block, const Tile& tile) {
  return {kept_.data() + (k * rows() + block.begin) * cols() + tile.cols.begin, block.size(),
          tile.cols.size(), cols()};
}

// The dot products over prefix k of a block and a tile; those over prefix k - 1 were the call
// before.
MatView<float> Job::multiplied(size_t k, Range block, const Tile& tile, Scratch& scratch) {
  const MatView<float> dots =
      keeps() ? kept(k, block, tile)
              : MatView<float>(scratch.dots.data(), block.size(), tile.cols.size());
  if (keeps() && k > 0) {
    const MatView<float> shorter = kept(k - 1, block, tile);
    for (size_t r = 0; r < dots.rows(); ++r) std::copy_n(shorter.row(r), dots.cols(), dots.row(r));
  }
  const auto kind = k == 0 ? EpilogueKind::store : EpilogueKind::add;
  tile.across[k].multiply(scratch.queries[k], {.kind = kind}, dots);
  return dots;
}

template <typename Visit, typename Done>
void Job::tiles(Range block, Scratch& scratch, const Visit& visit, const Done& done) {
  if (!keeps()) scratch.dots.ensure(kBlockRows * kTileCols);
  if (!has_kept_) pack_queries(block, scratch);
  for (const Tile& tile : tiles_) {
    for (size_t k = 0; k < prefixes(); ++k) {
      const MatView<float> dots =
          has_kept_ ? kept(k, block, tile) : multiplied(k, block, tile, scratch);
      for (size_t i = block.begin; i < block.end; ++i) visit(k, i, tile, dots.row(i - block.begin));
    }
    done(tile);
  }
}

template <typename Work>
void Job::blocks(const Work& work) {
  parallel_for(pool_, chunks_, 1, [&](size_t c, size_t thread) {
    const Range own = chunk(c);
    for (size_t row = own.begin; row < own.end; row += kBlockRows)
      work(c, Range{row, std::min(row + kBlockRows, own.end)}, scratch_[thread]);
  });
  has_kept_ = keeps();
}

LogitRow Job::logits(size_t k, size_t i, Range piece, const Tile& tile, const float* dots) const {
  const float scale = row_inverse_[k][i] * static_cast<float>(1 / in_.temperature);
  return {dots + (piece.begin - tile.cols.begin), col_inverse_[k] + piece.begin, scale,
          piece.size()};
}

LogitShifts Job::shifts(size_t k, size_t i, size_t col) const {
  return {row_shift_[k][i], one_shift_ ? nullptr : col_shift_[k] + col};
}

float Job::positive_logit(size_t k, size_t i, const Tile& tile, const float* dots) const {
  const LogitRow own = logits(k, i, {i, i + 1}, tile, dots);
  return logit(own.dots[0], own.inverse_norms[0], own.scale);
}

// One shift for all where no logit can be so far below the largest possible that its exp vanishes;
// else every row and every column gets its own largest, which is one more pass over the products.
void Job::choose_shifts() {
  one_shift_ = 2 / in_.temperature <= kOneShiftMost;
  if (one_shift_) {
    const auto largest = static_cast<float>(1 / in_.temperature);
    row_shift_.reset(prefixes(), rows(), largest);
    col_shift_.reset(prefixes(), cols(), largest);
    return;
  }
  partial_.reset(chunks_ * prefixes(), cols(), kLowest);
  row_shift_.reset(prefixes(), rows(), kLowest);
  blocks([&](size_t c, Range block, Scratch& scratch) {
    const auto visit = [&](size_t k, size_t i, const Tile& tile, const float* dots) {
      const auto raise = [&](Range piece) {
        float* maxima = partial_[c * prefixes() + k] + piece.begin;
        const float largest = logit_maxima(logits(k, i, piece, tile, dots), maxima);
        row_shift_[k][i] = std::max(row_shift_[k][i], largest);
      };
      pieces(i, tile.cols, raise);
      if (i >= tile.cols.begin && i < tile.cols.end) raise({i, i + 1});
    };
    tiles(block, scratch, visit, [](const Tile&) {});
  });
  col_shift_.reset(prefixes(), cols(), kLowest);
  for (size_t c = 0; c < chunks_; ++c) {
    for (size_t k = 0; k < prefixes(); ++k) {
      const float* part = partial_[c * prefixes() + k];
      for (size_t j = 0; j < cols(); ++j) col_shift_[k][j] = std::max(col_shift_[k][j], part[j]);
    }
  }
}

// -ln(positive / (positive + negatives)), both relative to e^shift, and the share of the negatives.
struct Term {
  Term(double negatives, double logit, double shift) {
    const double positive = std::exp(logit - shift);
    loss = negatives > positive ? std::log(negatives + positive) + shift - logit
                                : std::log1p(negatives / positive);
    total = negatives + positive;
    share = negatives / total;
  }
  double loss, total, share;
};

InBatchSoftmaxValue Job::value() {
  partial_.reset(chunks_ * prefixes(), cols(), 0);
  blocks([&](size_t c, Range block, Scratch& scratch) {
    const auto visit = [&](size_t k, size_t i, const Tile& tile, const float* dots) {
      pieces(i, tile.cols, [&](Range piece) {
        const LogitSums sums =
            logit_sums(logits(k, i, piece, tile, dots), shifts(k, i, piece.begin),
                       partial_[c * prefixes() + k] + piece.begin);
        row_sums_[k][i] += sums.sum;
        largest_[k][i] = std::max(largest_[k][i], sums.largest);
      });
      if (i >= tile.cols.begin && i < tile.cols.end)
        positive_[k][i] = positive_logit(k, i, tile, dots);
    };
    tiles(block, scratch, visit, [](const Tile&) {});
  });
  InBatchSoftmaxValue out;
  for (size_t k = 0; k < prefixes(); ++k) {
    for (size_t i = 0; i < rows(); ++i) count_row(k, i, out);
  }
  if (!finite_) out.loss = std::numeric_limits<double>::quiet_NaN();
  return out;
}

// Row i and column i of prefix k: their losses, and what the gradient needs of them.
void Job::count_row(size_t k, size_t i, InBatchSoftmaxValue& out) {
  const double factor = in_.weights[k] / static_cast<double>(rows());
  const double positive = positive_[k][i];
  const Term row(row_sums_[k][i], positive, row_shift_[k][i]);
  out.loss += factor * row.loss;
  if (k + 1 == prefixes()) out.solved += largest_[k][i] < positive_[k][i] ? 1 : 0;
  double share = row.share;
  if (gradients_) row_weight_[k][i] = static_cast<float>(factor / row.total);
  if (in_.both_directions) {
    double negatives = 0;
    for (size_t c = 0; c < chunks_; ++c) negatives += partial_[c * prefixes() + k][i];
    const Term column(negatives, positive, col_shift_[k][i]);
    out.loss += factor * column.loss;
    share += column.share;
    if (gradients_) col_weight_[k][i] = static_cast<float>(factor / column.total);
  }
  // From here on the gradient with respect to the positive's logit.
  positive_[k][i] = static_cast<float>(-factor * share);
}

void Job::slopes(size_t k, size_t i, const Tile& tile, const float* dots, float* column_sums,
                 float* out) {
  const auto at = [&](size_t col) { return col - tile.cols.begin; };
  for (size_t s = skipped_begin_[i]; s < skipped_begin_[i + 1]; ++s) {
    if (skipped_[s] >= tile.cols.begin && skipped_[s] < tile.cols.end) out[at(skipped_[s])] = 0;
  }
  double along = 0;
  pieces(i, tile.cols, [&](Range piece) {
    along += logit_gradients(logits(k, i, piece, tile, dots), shifts(k, i, piece.begin),
                             row_weight_[k][i], col_weight_[k] + piece.begin,
                             column_sums + piece.begin, out + at(piece.begin));
  });
  if (i >= tile.cols.begin && i < tile.cols.end) {
    const float slope = positive_[k][i], own = slope * positive_logit(k, i, tile, dots);
    const LogitRow row = logits(k, i, {i, i + 1}, tile, dots);
    out[at(i)] = slope * (row.inverse_norms[0] * row.scale);
    along += own;
    column_sums[i] += own;
  }
  row_along_[k][i] += along;
}

// One tile's share of both gradients, from scratch.slopes.
void Job::products(size_t chunk_index, Range block, const Tile& tile, Scratch& scratch,
                   MatView<float> d_queries) {
  const size_t count = tile.cols.size(), width = in_.queries.cols();
  float* partial = d_candidates_.data() + (chunk_index * cols() + tile.cols.begin) * width;
  const MatView<float> d_cols(partial, count, width);
  const bool first_block = block.begin == chunk(chunk_index).begin;
  const auto onto = [](bool first) {
    return Epilogue{.kind = first ? EpilogueKind::store : EpilogueKind::add};
  };
  for (size_t k = prefixes(); k-- > 0;) {
    float* slopes = scratch.slopes[k].data();
    if (k + 1 < prefixes())
      add_scaled(scratch.slopes[k + 1].data(), 1, {slopes, block.size() * count});
    const MatView<const float> factor(slopes, block.size(), count);
    const Range own = dims(k);
    scratch.left.set(ProductNumbers::f32, factor);
    tile.along[k].multiply(
        scratch.left, onto(tile.cols.begin == 0),
        d_queries.row_range(block.begin, block.size()).col_range(own.begin, own.size()));
    scratch.left.set_transposed(ProductNumbers::f32, factor);
    scratch.query_panels[k].multiply(scratch.left, onto(first_block),
                                     d_cols.col_range(own.begin, own.size()));
  }
}

void Job::gradient(MatView<float> d_queries, MatView<float> d_candidates) {
  partial_.reset(chunks_ * prefixes(), cols(), 0);
  d_candidates_.ensure(chunks_ * cols() * in_.queries.cols());
  blocks([&](size_t c, Range block, Scratch& scratch) {
    scratch.slopes.resize(prefixes());
    scratch.query_panels.resize(prefixes());
    std::vector<const float*> parts(block.size());
    for (size_t k = 0; k < prefixes(); ++k) {
      scratch.slopes[k].ensure(kBlockRows * kTileCols);
      for (size_t r = 0; r < parts.size(); ++r)
        parts[r] = in_.queries.row(block.begin + r) + dims(k).begin;
      RightOperand& panels = scratch.query_panels[k];
      panels.reserve(ProductNumbers::f32, parts.size(), dims(k).size());
      panels.pack(parts, 0, panels.panels());
    }
    const auto visit = [&](size_t k, size_t i, const Tile& tile, const float* dots) {
      slopes(k, i, tile, dots, partial_[c * prefixes() + k],
             scratch.slopes[k].data() + (i - block.begin) * tile.cols.size());
    };
    tiles(block, scratch, visit,
          [&](const Tile& tile) { products(c, block, tile, scratch, d_queries); });
  });
  finish_queries(d_queries);
  finish_candidates(d_candidates);
}

// out -= vector * (along / norm^2), for every prefix's dims the sum over it and all longer ones.
void Job::subtract_along(const float* vector, const Table<double>& along,
                         const Table<float>& inverse_norms, size_t index, float* out) const {
  double factor = 0;
  for (size_t k = prefixes(); k-- > 0;) {
    const double inverse = inverse_norms[k][index];
    factor += along[k][index] * inverse * inverse;
    add_scaled(vector + dims(k).begin, static_cast<float>(-factor),
               {out + dims(k).begin, dims(k).size()});
  }
  std::fill(out + in_.dims.back(), out + in_.queries.cols(), 0.0F);
}

void Job::finish_queries(MatView<float> d_queries) {
  parallel_for(pool_, rows(), 64, [&](size_t i, size_t) {
    subtract_along(in_.queries.row(i), row_along_, row_inverse_, i, d_queries.row(i));
  });
}

void Job::finish_candidates(MatView<float> d_candidates) {
  const size_t width = in_.queries.cols(), used = in_.dims.back();
  parallel_for(pool_, cols(), 64, [&](size_t j, size_t) {
    float* out = d_candidates.row(j);
    for (size_t c = 0; c < chunks_; ++c) {
      const float* part = d_candidates_.data() + (c * cols() + j) * width;
      if (c == 0) {
        std::copy_n(part, used, out);
      } else {
        add_scaled(part, 1, {out, used});
      }
      for (size_t k = 0; k < prefixes(); ++k) col_along_[k][j] += partial_[c * prefixes() + k][j];
    }
    subtract_along(in_.candidates[j], col_along_, col_inverse_, j, out);
  });
}

}  // namespace

InBatchSoftmaxValue in_batch_softmax(const InBatchSoftmax& in, ThreadPool& pool,
                                     MatView<float> d_queries, MatView<float> d_candidates) {
  AKIN_CHECK(in.queries.rows() > 0 && in.candidates.size() >= in.queries.rows());
  AKIN_CHECK(!in.dims.empty() && in.dims.back() <= in.queries.cols());
  AKIN_CHECK(in.weights.size() == in.dims.size() && in.temperature > 0);
  const bool gradients = !d_queries.empty();
  Job job(in, pool, gradients);
  const InBatchSoftmaxValue out = job.value();
  if (gradients) job.gradient(d_queries, d_candidates);
  return out;
}

}  // namespace akin::kernels
