// Products on Intel AMX tiles: f32 (amx_f32.cc) and int8 (amx_int8.cc); bf16 is in bf16.h. Only
// x86-64 Linux; elsewhere amx_available() is false.
//
// Tiles are 16 rows x 64 bytes. Layouts, innermost last:
//   operand f32   [row block of 16][k block of 32][part 3][16 rows][32 bf16]
//   weight  f32   [panel of 32 columns][k block of 32][half 2][16 k pairs][16 columns][2 f32]
//   operand int8  [row block of 16][k block of 64][16 rows][64 s8]
//   weight  int8  [panel of 32 columns][k block of 64][half 2][16 k quads][16 columns][4 s8]
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/matmul.h"

namespace akin::kernels {

inline constexpr size_t kAmxPanelCols = 32;

bool amx_available();  // CPU has AMX-BF16 and AMX-INT8, and the system lets this process use the
                       // tiles

size_t amx_f32_operand_bytes(size_t rows, size_t k);
void amx_f32_set_row(uint8_t* operand, size_t k, size_t row, const float* x);
size_t amx_f32_weight_bytes(size_t n, size_t k);
void amx_f32_set_weight_row(uint8_t* weight, size_t k, size_t column, const float* w);
void amx_matmul_f32(const MatmulArgs& args);
// Rows of x as they are, each padded with zeros to so many floats; same weights.
size_t amx_f32_short_row_floats(size_t k);
void amx_matmul_f32_short(const MatmulArgs& args);

size_t amx_int8_operand_bytes(size_t rows, size_t k);
// Quantises and stores one row; returns its scale.
float amx_int8_set_row(uint8_t* operand, size_t k, size_t row, const float* x);
size_t amx_int8_weight_bytes(size_t n, size_t k);
void amx_int8_set_weight_row(uint8_t* weight, size_t k, size_t column, const int8_t* q);
void amx_matmul_int8(const MatmulArgs& args);

}  // namespace akin::kernels
