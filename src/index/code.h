// How a vector is kept for search: f32, f16, int8 (one scale a row) or one bit a dim. What each
// costs in bytes, how it is made from f32, how two are compared. See vector_store.h for the files.
//
// Scores are estimates of the dot product of unit vectors. Binary: 1 - 2 * hamming / dims.
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

// Bytes of one row of `dims` numbers, padding included; rows lie this far apart.
size_t row_bytes(Code code, size_t dims);

// Appends nothing, checks nothing: rows [N, dims] to out, N * row_bytes(code, dims) bytes.
void encode_rows(MatView<const float> rows, Code code, std::span<uint8_t> out);

}  // namespace akin::index
