// The product behind every layer: y = f(x W^T + b) for packed weights, in f32 and int8, on the best
// unit the CPU has. Not here: attention's small products (attention.h).
//
// Shapes: T rows (tokens), K inputs, N outputs. The value of y[t, n] depends on row t of x and row
// n of W alone: not on T, on neighbours, or on how rows and panels are divided among threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "base/mat.h"
#include "core/arch_spec.h"
#include "core/encoder.h"

namespace akin::kernels {

// simd_f32   f32 products, Highway.
// amx_f32    f32 products on the bf16 tile unit: each f32 is the exact sum of three bf16, x = x1 +
// x2 + x3, and the six largest of the nine partial products are summed in f32; what is dropped is
// below 2^-24 relative, f32's own rounding.
// amx_f32_short  f32 multiply-adds over the weights of amx_f32, better when rows are few: a form of
// operand only.
// simd_int8  u8 x s8 dot products (VNNI), or 16-bit multiply-adds where there is no VNNI; the
// integers are the same. amx_int8   s8 x s8 on the tile unit; the same integers again.
enum class Backend : uint8_t { simd_f32, amx_f32, amx_f32_short, simd_int8, amx_int8 };

Backend choose_backend(Precision precision);  // from active_isa() and f32_tiles()
// The operand's backend for a text of so many tokens, given the weights': a property of the text
// alone, so that its vector does not depend on its neighbours.
Backend operand_backend(Backend weights, size_t tokens);
std::string_view backend_name(Backend backend);

inline constexpr size_t kRowBlock =
    32;  // ranges of rows handed to different threads begin at multiples of this

// The left side of a product, in the form a backend wants. int8: symmetric, one scale per row
// (token), scale = max|x| / 127.
class Operand {
 public:
  // Makes room; contents are undefined afterwards. Cost: nothing when it already fits.
  void reserve(Backend backend, size_t rows, size_t k);
  // Converts rows of x, [n, K], into rows [row, row + n). Different rows may be set by different
  // threads.
  void set_rows(size_t row, MatView<const float> x);
  // set_rows(0, x) by one thread; but simd_f32 refers to x, which must live, unchanged, until the
  // products are done.
  void set_all(MatView<const float> x);

  Backend backend() const { return backend_; }
  size_t rows() const { return rows_; }
  size_t k() const { return k_; }
  const uint8_t* data() const { return borrowed_ == nullptr ? data_.data() : borrowed_; }
  size_t stride() const { return stride_; }  // simd_f32: floats from row to row
  const float* scales() const { return scales_.data(); }

 private:
  void own_rows();

  Backend backend_ = Backend::simd_f32;
  size_t rows_ = 0, k_ = 0, stride_ = 0;
  const uint8_t* borrowed_ = nullptr;
  AlignedArray<uint8_t> data_;
  AlignedArray<float> scales_;  // int8 only
};

enum class EpilogueKind : uint8_t {
  store,     // y = x W^T + b
  activate,  // y = act(x W^T + b)
  add,       // y += x W^T + b   (a residual)
};
struct Epilogue {
  EpilogueKind kind = EpilogueKind::store;
  Activation activation = Activation::identity;
};

// Packed weights [N, K] with an optional bias [N]. Immutable; shared by threads.
class PackedLinear {
 public:
  using RowReader =
      std::function<void(size_t row, std::span<float> out)>;  // fills row `row` of W, K floats

  PackedLinear() = default;
  // int8: symmetric, one scale per output channel, scale = max|w| / 127. bias: N values or empty.
  PackedLinear(Backend backend, size_t n, size_t k, const RowReader& read_row,
               std::span<const float> bias);

  size_t n() const { return n_; }
  size_t k() const { return k_; }
  size_t panels() const;  // units in which columns may be divided among threads
  size_t size_bytes() const { return data_.size(); }

  // y: rows [row_begin, row_end), columns of panels [panel_begin, panel_end). row_begin is a
  // multiple of kRowBlock. y must have N columns. Threads may run disjoint ranges at once.
  void run(const Operand& x, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end,
           Epilogue epilogue, MatView<float> y) const;
  void run(const Operand& x, size_t rows, Epilogue epilogue, MatView<float> y) const {
    run(x, 0, rows, 0, panels(), epilogue, y);
  }

 private:
  Backend backend_ = Backend::simd_f32;
  size_t n_ = 0, k_ = 0, panel_cols_ = 1;
  AlignedArray<uint8_t> data_;
  AlignedArray<float> bias_;    // [N padded to panels], zeros where there is none
  AlignedArray<float> scales_;  // int8: [N padded]
  AlignedArray<int32_t> sums_;  // simd_int8 with VNNI: 128 * sum of the row's weights, [N padded]
};

}  // namespace akin::kernels
