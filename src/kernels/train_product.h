// Products of training, y (+)= A B, where A and B change at every step and either may come
// transposed: y = x W^T, dx = dy W, dW += dy^T x. In f32 on the vector tiles of matmul_simd.cc, in
// bf16 (operands rounded to bfloat16, sums in f32) on the AMX tile unit. Not here: inference, whose
// weights are packed once (linear.h).
//
// Shapes: A [M, K], B [K, N], y [M, N]. K is summed over. The value of y[m, n] depends on row m of
// A and column n of B alone, in one fixed order of K.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/mat.h"
#include "kernels/linear.h"

namespace akin::kernels {

enum class ProductNumbers : uint8_t { f32, bf16 };
bool bf16_products_available();  // needs Isa::bf16, and active_isa() to allow it

// A. Reusable: set() again for the next product.
class LeftOperand {
 public:
  // a: [M, K]. f32: borrowed, so `a` must live until the product is done.
  void set(ProductNumbers numbers, MatView<const float> a);
  // a: [K, M], read transposed.
  void set_transposed(ProductNumbers numbers, MatView<const float> a);

  size_t rows() const { return rows_; }
  size_t depth() const { return depth_; }

 private:
  friend class RightOperand;
  ProductNumbers numbers_ = ProductNumbers::f32;
  size_t rows_ = 0, depth_ = 0;
  size_t stride_ = 0;  // f32 by rows: floats from row to row
  bool by_columns_ = false;
  const uint8_t* data_ = nullptr;
  AlignedArray<uint8_t> packed_;
};

// B, in panels of columns, with a bias for every column. Its source is given as pointers to rows,
// so that several matrices can be one (q, k, v) without a copy. Panels may be packed by different
// threads.
class RightOperand {
 public:
  // Makes room and clears the bias; contents are undefined.
  void reserve(ProductNumbers numbers, size_t depth, size_t cols);
  // rows: K pointers to N floats each.
  void pack(std::span<const float* const> rows, size_t panel_begin, size_t panel_end);
  // rows: N pointers to K floats each.
  void pack_transposed(std::span<const float* const> rows, size_t panel_begin, size_t panel_end);
  void set_bias(size_t col, std::span<const float> bias);

  size_t panels() const;
  size_t depth() const { return depth_; }
  size_t cols() const { return cols_; }

  // y = f(A B + bias), or y += for EpilogueKind::add. y: [M, N].
  void multiply(const LeftOperand& a, Epilogue epilogue, MatView<float> y) const;

 private:
  ProductNumbers numbers_ = ProductNumbers::f32;
  size_t depth_ = 0, cols_ = 0, panel_cols_ = 1;
  AlignedArray<uint8_t> data_;
  AlignedArray<float> bias_;  // [N padded to panels]
};

}  // namespace akin::kernels
