// Codes of vectors: bytes a row, exact round trips, and what a code loses.
#include "index/code.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/rng.h"

namespace akin::index {
namespace {

TEST(Code, BytesOfARow) {
  EXPECT_EQ(row_bytes(Code::f32, 256), 1024U);
  EXPECT_EQ(row_bytes(Code::f32, 257), 1088U);
  EXPECT_EQ(row_bytes(Code::f16, 256), 512U);
  EXPECT_EQ(row_bytes(Code::f16, 1), 64U);
  EXPECT_EQ(row_bytes(Code::int8, 64), 68U);
  EXPECT_EQ(row_bytes(Code::int8, 65), 72U);
  EXPECT_EQ(row_bytes(Code::binary, 64), 8U);
  EXPECT_EQ(row_bytes(Code::binary, 65), 16U);
  EXPECT_EQ(choices(Code{}).size(), 4U);
  EXPECT_EQ(code_name(Code::binary), "binary");
}

TEST(Code, ThereAndBack) {
  const size_t dims = 77, count = 9;
  Mat<float> rows(count, dims);
  Rng rng(3);
  for (size_t i = 0; i < count * dims; ++i) rows.data()[i] = static_cast<float>(rng.normal());
  std::fill_n(rows.row(4), dims, 0.0F);
  std::vector<float> back(dims);
  for (const Code code : {Code::f32, Code::f16, Code::int8, Code::binary}) {
    std::vector<uint8_t> bytes(count * row_bytes(code, dims), 0xEE);
    encode_rows(rows.view(), code, bytes);
    for (size_t r = 0; r < count; ++r) {
      decode_row(bytes.data() + r * row_bytes(code, dims), code, back);
      float largest = 0;
      for (size_t d = 0; d < dims; ++d) largest = std::max(largest, std::abs(rows(r, d)));
      for (size_t d = 0; d < dims; ++d) {
        const float x = rows(r, d);
        switch (code) {
          case Code::f32:
            EXPECT_EQ(back[d], x);
            break;
          case Code::f16:
            EXPECT_NEAR(back[d], x, std::abs(x) * 4.9e-4F);
            break;
          case Code::int8:
            EXPECT_NEAR(back[d], x, largest / 127 * 0.5001F);
            break;
          case Code::binary:
            EXPECT_EQ(back[d], x > 0 ? 1.0F : -1.0F);
            break;
        }
      }
    }
  }
}

}  // namespace
}  // namespace akin::index
