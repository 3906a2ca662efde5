// What linear.cc and its backends share. Not for other rooms: see linear.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/linear.h"
#include "kernels/quantize.h"

namespace akin::kernels {

// Everything a backend needs for y rows [row_begin, row_end) x panels [panel_begin, panel_end).
struct MatmulArgs {
  const uint8_t* x = nullptr;       // Operand's bytes
  bool x_by_columns = false;        // simd_f32: tiles of simd_tile_rows() rows, [T / tile][K][tile]
  size_t x_stride = 0;              // simd_f32: floats from row to row; K by columns
  const float* x_scales = nullptr;  // int8: [T]
  const uint8_t* w = nullptr;       // packed panels
  const float* w_scales = nullptr;  // int8: [N padded]
  const int32_t* w_sums = nullptr;  // VNNI: [N padded]
  const float* bias = nullptr;      // [N padded]
  size_t n = 0, k = 0;
  size_t depth = 128;  // simd_f32: K at a time, so that a panel's piece stays in L1; sums are added
                       // in these pieces
  size_t row_begin = 0, row_end = 0, panel_begin = 0, panel_end = 0;
  Epilogue epilogue;
  float* y = nullptr;
  size_t y_stride = 0;
};

inline size_t round_up(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// The Highway backends (matmul_simd.cc). Panel widths depend on the active target.
size_t simd_panel_cols();
size_t simd_tile_rows();
bool simd_int8_uses_vnni();
size_t simd_int8_row_bytes(
    size_t k);  // of one operand row: u8 [K padded to 4] with VNNI, else i16 [K padded to 2]
void simd_matmul_f32(const MatmulArgs& args);
void simd_matmul_int8(const MatmulArgs& args);
// One operand row of x, quantised as quantize_row() does; returns its scale.
float simd_set_int8_row(const float* x, size_t k, uint8_t* out);

// A block of y: rows [row, row + rows), columns [col, col + cols).
struct Block {
  size_t row, rows, col, cols;
};
// A block of finished sums, acc [rows, cols] with the given stride, 64-byte aligned, through the
// epilogue into y.
void simd_epilogue_f32(const MatmulArgs& args, const Block& block, const float* acc, size_t stride);
void simd_epilogue_int32(const MatmulArgs& args, const Block& block, const int32_t* acc,
                         size_t stride);

}  // namespace akin::kernels
