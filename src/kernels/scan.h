// Scores of a few queries against many rows of a search index, as they lie in a file: f32, f16,
// int8 or one bit a dim. Not the product of many queries with many documents (linear.h), and no
// choice of the best (index/).
//
// Shapes: Q queries, N rows, D dims. A score depends on its two vectors alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/mat.h"

namespace akin::kernels {

// Rows `stride` bytes apart. With ids, row i is the one at base + ids[i] * stride, and rows ahead
// are asked for before they are read; without, rows are read in order. The 64 bytes before `base`
// may be read and must be there; nothing behind the last row is.
struct ScanRows {
  const uint8_t* base = nullptr;
  size_t stride = 0, count = 0;
  const uint32_t* ids = nullptr;
};

// out: [Q, N or more].
// The first D = queries.cols() floats of each row; the same sum as dot() of elementwise.h, to the
// bit.
void scan_f32(MatView<const float> queries, const ScanRows& rows, MatView<float> out);
// IEEE halves, converted as they are read. Rows hold D halves rounded up to kScanHalves, every one
// a finite number; queries: [Q, D so rounded up], zeros behind D.
inline constexpr size_t kScanHalves = 32;
void scan_f16(MatView<const float> queries, const ScanRows& rows, MatView<float> out);
// A row is a scale (f32) and D bytes behind it. The sum of products is an exact integer on every
// instruction set; out = sum * (query scale * row scale).
inline constexpr size_t kScanScaleBytes = 4;
void scan_int8(MatView<const int8_t> queries, const float* query_scales, const ScanRows& rows,
               MatView<float> out);
// Rows of queries.cols() words; bits behind D are zero everywhere. out = 1 - 2 * (bits that differ)
// / D.
void scan_binary(MatView<const uint64_t> queries, size_t dims, const ScanRows& rows,
                 MatView<float> out);

// out[i] = sum of the squares of the first D numbers of row i.
void scan_squares_f32(size_t dims, const ScanRows& rows, float* out);
void scan_squares_f16(size_t dims, const ScanRows& rows, float* out);

// Reads every byte and returns something that depends on all of them: what a scan costs that does
// nothing else. For benchmarks.
uint64_t scan_bytes(const uint8_t* bytes, size_t size);

}  // namespace akin::kernels
