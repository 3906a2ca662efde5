// Products of bf16 matrices summed in f32, for training and for bounds: on AMX tiles (amx_bf16.cc)
// or on AVX-512's bf16 dot products (bf16_vectors.cc), over the same packed operands. Both round
// to nearest even and take denormals for zero.
//
// Layouts, innermost last:
//   operand [row block of 16][k block of 32][16 rows][32 bf16]
//   panels  [panel of 32 columns][k block of 32][half 2][16 k pairs][16 columns][2 bf16]
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/mat.h"
#include "kernels/matmul.h"

namespace akin::kernels {

inline constexpr size_t kBf16PanelCols = 32;
inline constexpr size_t kBf16BlockRows = 16;
inline constexpr size_t kBf16Depth = 32;           // k of a block
inline constexpr size_t kBf16RowsBytes = 1024;     // of an operand's rows, a k block
inline constexpr size_t kBf16ColumnsBytes = 2048;  // of a panel's columns, a k block
inline constexpr size_t kBf16L1Blocks = 14;        // of a panel, 28 KB: they stay in L1 while all
                                                   // rows pass

inline size_t bf16_depth_blocks(size_t k) { return (k + kBf16Depth - 1) / kBf16Depth; }

// The CPU has AVX512_BF16 and the system keeps its registers.
bool avx512_bf16_available();
// And its dot products take no longer than f32 ones, as AMD's; on Intel's they take twice as long,
// and rounding would only lose.
bool avx512_bf16_fast();

// Either side may be read transposed.
size_t bf16_operand_bytes(size_t rows, size_t k);
void bf16_set_rows(uint8_t* operand, MatView<const float> x);     // x [rows, K]
void bf16_set_columns(uint8_t* operand, MatView<const float> x);  // x [K, rows]
size_t bf16_panels_bytes(size_t k, size_t n);
// One panel from columns [col, col + cols) of K rows, or from its `columns`, each of k floats.
void bf16_pack_panel(uint8_t* panels, size_t panel, std::span<const float* const> rows, size_t col,
                     size_t cols);
void bf16_pack_panel_transposed(uint8_t* panels, size_t panel,
                                std::span<const float* const> columns, size_t k);

void amx_matmul_bf16(const MatmulArgs& args);     // epilogues of matmul.h
void vector_matmul_bf16(const MatmulArgs& args);  // same

}  // namespace akin::kernels
