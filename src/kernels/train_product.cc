#include "kernels/train_product.h"

#include <algorithm>
#include <cstring>

#include "kernels/bf16.h"
#include "kernels/cpu.h"
#include "kernels/matmul.h"

namespace akin::kernels {
namespace {

constexpr size_t kDepthMost = 192;  // of K at a time: 24 KB of a panel, and as little of A as fits

// K in equal pieces.
size_t depth_piece(size_t k) {
  const size_t pieces = std::max<size_t>(1, (k + kDepthMost - 1) / kDepthMost);
  return std::max<size_t>(1, (k + pieces - 1) / pieces);
}

// [K, M] to tiles of columns: [M / kTile][K][kTile], zeros past M. A template, so that a copy is a
// few moves; a few tiles at a time, so that the places written to lie in a few pages.
template <size_t kTile>
void tile_columns(MatView<const float> a, float* out) {
  constexpr size_t kStep = 4 * kTile;
  const size_t depth = a.rows(), whole = a.cols() / kTile * kTile;
  for (size_t begin = 0; begin < whole; begin += kStep) {
    const size_t end = std::min(begin + kStep, whole);
    for (size_t k = 0; k < depth; ++k) {
      const float* row = a.row(k);
      for (size_t m = begin; m < end; m += kTile)
        std::memcpy(out + m * depth + k * kTile, row + m, kTile * sizeof(float));
    }
  }
  for (size_t k = 0; k < depth && whole < a.cols(); ++k) {
    float* last = out + whole * depth + k * kTile;
    std::fill(std::copy(a.row(k) + whole, a.row(k) + a.cols(), last), last + kTile, 0.0F);
  }
}

void tile_columns(MatView<const float> a, size_t tile, float* out) {
  if (tile == 12) return tile_columns<12>(a, out);
  AKIN_CHECK(tile == 6);
  tile_columns<6>(a, out);
}

template <size_t kCols>
void pack_whole_panel(std::span<const float* const> rows, size_t col, float* out) {
  for (const float* row : rows) {
    std::memcpy(out, row + col, kCols * sizeof(float));
    out += kCols;
  }
}

void pack_panel(std::span<const float* const> rows, size_t col, size_t cols, size_t panel_cols,
                float* out) {
  if (cols == 32 && panel_cols == 32) return pack_whole_panel<32>(rows, col, out);
  if (cols == 16 && panel_cols == 16) return pack_whole_panel<16>(rows, col, out);
  for (const float* row : rows) {
    std::fill(std::copy_n(row + col, cols, out), out + panel_cols, 0.0F);
    out += panel_cols;
  }
}

// Eight k at a time: a cache line of every source row serves two turns.
void pack_panel_transposed(std::span<const float* const> rows, size_t depth, size_t panel_cols,
                           float* out) {
  constexpr size_t kStep = 8;
  for (size_t k = 0; k < depth; k += kStep) {
    const size_t count = std::min(kStep, depth - k);
    for (size_t n = 0; n < panel_cols; ++n) {
      float* to = out + k * panel_cols + n;
      for (size_t i = 0; i < count; ++i)
        to[i * panel_cols] = n < rows.size() ? rows[n][k + i] : 0.0F;
    }
  }
}

}  // namespace

bool bf16_products_available() { return active_isa() >= Isa::bf16; }

void LeftOperand::set(ProductNumbers numbers, MatView<const float> a) {
  numbers_ = numbers;
  rows_ = a.rows();
  depth_ = a.cols();
  by_columns_ = false;
  if (numbers == ProductNumbers::bf16) {
    packed_.ensure(bf16_operand_bytes(rows_, depth_));
    bf16_set_rows(packed_.data(), a);
    data_ = packed_.data();
    return;
  }
  stride_ = a.stride();
  data_ = reinterpret_cast<const uint8_t*>(a.data());
}

void LeftOperand::set_transposed(ProductNumbers numbers, MatView<const float> a) {
  numbers_ = numbers;
  rows_ = a.cols();
  depth_ = a.rows();
  by_columns_ = true;
  if (numbers == ProductNumbers::bf16) {
    packed_.ensure(bf16_operand_bytes(rows_, depth_));
    bf16_set_columns(packed_.data(), a);
  } else {
    packed_.ensure(round_up(rows_, simd_tile_rows()) * depth_ * sizeof(float));
    tile_columns(a, simd_tile_rows(), reinterpret_cast<float*>(packed_.data()));
  }
  data_ = packed_.data();
}

void RightOperand::reserve(ProductNumbers numbers, size_t depth, size_t cols) {
  numbers_ = numbers;
  depth_ = depth;
  cols_ = cols;
  const bool bf16 = numbers == ProductNumbers::bf16;
  panel_cols_ = bf16 ? kBf16PanelCols : simd_panel_cols();
  const size_t padded = round_up(cols, panel_cols_);
  data_.ensure(bf16 ? bf16_panels_bytes(depth, cols) : padded * depth * sizeof(float));
  bias_.ensure(padded);
  std::fill_n(bias_.data(), padded, 0.0F);
}

size_t RightOperand::panels() const { return (cols_ + panel_cols_ - 1) / panel_cols_; }

void RightOperand::set_bias(size_t col, std::span<const float> bias) {
  AKIN_CHECK(col + bias.size() <= cols_);
  std::copy(bias.begin(), bias.end(), bias_.data() + col);
}

void RightOperand::pack(std::span<const float* const> rows, size_t panel_begin, size_t panel_end) {
  AKIN_CHECK(rows.size() == depth_ && panel_end <= panels());
  for (size_t panel = panel_begin; panel < panel_end; ++panel) {
    const size_t col = panel * panel_cols_, cols = std::min(panel_cols_, cols_ - col);
    if (numbers_ == ProductNumbers::bf16) {
      bf16_pack_panel(data_.data(), panel, rows, col, cols);
    } else {
      auto* out = reinterpret_cast<float*>(data_.data()) + col * depth_;
      pack_panel(rows, col, cols, panel_cols_, out);
    }
  }
}

void RightOperand::pack_transposed(std::span<const float* const> rows, size_t panel_begin,
                                   size_t panel_end) {
  AKIN_CHECK(rows.size() == cols_ && panel_end <= panels());
  for (size_t panel = panel_begin; panel < panel_end; ++panel) {
    const size_t col = panel * panel_cols_, cols = std::min(panel_cols_, cols_ - col);
    if (numbers_ == ProductNumbers::bf16) {
      bf16_pack_panel_transposed(data_.data(), panel, rows.subspan(col, cols), depth_);
    } else {
      auto* out = reinterpret_cast<float*>(data_.data()) + col * depth_;
      pack_panel_transposed(rows.subspan(col, cols), depth_, panel_cols_, out);
    }
  }
}

void RightOperand::multiply(const LeftOperand& a, Epilogue epilogue, MatView<float> y) const {
  AKIN_CHECK(a.numbers_ == numbers_ && a.depth_ == depth_ && y.rows() == a.rows_ &&
             y.cols() == cols_);
  if (y.empty()) return;
  MatmulArgs args;
  args.x = a.data_;
  args.x_by_columns = a.by_columns_;
  args.x_stride = a.by_columns_ ? depth_ : a.stride_;
  args.w = data_.data();
  args.bias = bias_.data();
  args.n = cols_;
  args.k = depth_;
  args.depth = depth_piece(depth_);
  args.row_end = a.rows_;
  args.panel_end = panels();
  args.epilogue = epilogue;
  args.y = y.data();
  args.y_stride = y.stride();
  if (numbers_ == ProductNumbers::bf16) {
    active_isa() >= Isa::amx ? amx_matmul_bf16(args) : vector_matmul_bf16(args);
  } else {
    simd_matmul_f32(args);
  }
}

}  // namespace akin::kernels
