// How a vector is kept for search: f32, f16, int8 (one scale a row) or one bit a dim. What each
// costs in bytes, how it is made from f32 and read back. See vector_store.h for the files,
// kernels/scan.h for scores.
//
// Scores are dot products of the rows as they were given: exactly (f32), after rounding to half
// precision (f16), of two rows of integers times their scales (int8; the query is rounded too), or
// 1 - 2 * hamming / dims, which estimates a cosine (binary).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/mat.h"

namespace akin::index {

enum class Code : uint8_t { f32, f16, int8, binary };
std::span<const std::string_view> choices(Code);
std::string_view code_name(Code code);

inline constexpr float kLargestHalf = 65504;  // a larger |number| has no f16

// Bytes of one row of `dims` numbers, padding included; rows lie this far apart. f32 and f16: to
// whole cache lines; int8: a scale, then a byte a dim; binary: to whole 64-bit words.
size_t row_bytes(Code code, size_t dims);

// Appends nothing, checks nothing: rows [N, dims] to out, N * row_bytes(code, dims) bytes, padding
// zero. int8: scale = max|x| / 127, round to nearest. binary: bit d % 64 of word d / 64 says x > 0.
void encode_rows(MatView<const float> rows, Code code, std::span<uint8_t> out);

// The numbers a row stands for; binary: +1 and -1.
void decode_row(const uint8_t* row, Code code, std::span<float> out);

}  // namespace akin::index
