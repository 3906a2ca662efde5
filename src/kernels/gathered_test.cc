// Products of a vector with scattered rows against the packed product, to the bit, and the bound
// that lets a search leave most of them out, against float64.
#include "kernels/gathered.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "base/test_mat.h"
#include "kernels/cpu.h"
#include "kernels/linear.h"
#include "kernels/rounding.h"
#include "kernels/train_product.h"

namespace akin::kernels {
namespace {

TEST(GatheredProducts, EqualThePackedProduct) {
  for (const Isa isa : usable_isas()) {
    set_isa(isa);
    for (const size_t dims : {1, 3, 32, 127, 128, 130, 255, 256, 300, 384, 512, 771, 1024}) {
      const Mat<float> rows = random_mat(40, dims, dims), queries = random_mat(5, dims, 2);
      const PackedLinear packed(Backend::simd_f32, queries.rows(), dims,
                                [&](size_t row, std::span<float> out) {
                                  std::copy_n(queries.row(row), dims, out.begin());
                                },
                                {});
      Operand operand;
      operand.reserve(Backend::simd_f32, rows.rows(), dims);
      operand.set_rows(0, rows.view());
      Mat<float> wanted(rows.rows(), queries.rows());
      packed.run(operand, rows.rows(), {}, wanted.view());
      for (const size_t count : {0, 1, 2, 4, 5, 7, 8, 11, 16, 33}) {
        std::vector<uint32_t> ids;
        for (size_t i = 0; i < count; ++i) ids.push_back(static_cast<uint32_t>(i * 7 % 40));
        std::vector<float> got(count);
        for (size_t q = 0; q < queries.rows(); ++q) {
          gathered_products(queries.row(q), rows.view(), ids, kLinearPiece, got.data());
          for (size_t i = 0; i < count; ++i) {
            ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(wanted(ids[i], q)))
                << isa_name(isa) << ", " << dims << " dims, " << i << " of " << count;
          }
        }
      }
    }
  }
  set_isa(detected_isa());
}

TEST(GatheredProducts, WideOnesAreChains) {
  for (const Isa isa : usable_isas()) {
    set_isa(isa);
    const bool fused = isa >= Isa::avx2;
    for (const size_t dims : {1, 3, 64, 301}) {
      const Mat<float> rows = random_mat(40, dims, dims), x = random_mat(1, dims, 2);
      const std::vector<double> wide(x.row(0), x.row(0) + dims);
      for (const size_t count : {0, 1, 5, 8, 16, 29}) {
        std::vector<uint32_t> ids;
        for (size_t i = 0; i < count; ++i) ids.push_back(static_cast<uint32_t>(i * 7 % 40));
        std::vector<double> got(count);
        gathered_products(wide.data(), rows.view(), ids, got.data());
        for (size_t i = 0; i < count; ++i) {
          double sum = 0;
          for (size_t k = 0; k < dims; ++k) {
            const double value = rows(ids[i], k);
            sum = fused ? std::fma(wide[k], value, sum) : sum + wide[k] * value;
          }
          ASSERT_EQ(got[i], sum) << isa_name(isa) << ", " << dims << " dims";
        }
      }
    }
  }
  set_isa(detected_isa());
}

// A bound must hold for every pair; it should not be far from what happens.
TEST(Rounding, BoundsTheErrorOfRoundedProducts) {
  for (const size_t dims : {32, 100, 512}) {
    for (const float size : {1.0F, 1e-9F, 1e9F}) {
      Mat<float> x = random_mat(64, dims, 3), y = random_mat(64, dims, 4);
      for (size_t k = 0; k < dims; ++k) {
        y(5, k) = x(5, k);      // all errors of one sign, nearly
        x(6, k) = 1.00390625F;  // half-way between two bfloat16
        y(6, k) = 1.00390625F;
        x(7, k) = 0;
      }
      for (size_t i = 0; i < 64 * dims; ++i) x.data()[i] *= size;
      Mat<float> got(64, 64);
      if (bf16_products_available()) {
        LeftOperand left;
        left.set(ProductNumbers::bf16, x.view());
        RightOperand right;
        right.reserve(ProductNumbers::bf16, dims, 64);
        std::vector<const float*> from;
        for (size_t r = 0; r < 64; ++r) from.push_back(y.row(r));
        right.pack_transposed(from, 0, right.panels());
        right.multiply(left, {}, got.view());
      } else {
        GTEST_SKIP() << "no bf16 products";
      }
      double largest = 0;
      for (size_t a = 0; a < 64; ++a) {
        const Rounding left = rounding_of(x.row(a), dims);
        ASSERT_TRUE(left.usable);
        for (size_t b = 0; b < 64; ++b) {
          double exact = 0;
          for (size_t k = 0; k < dims; ++k) exact += double{x(a, k)} * y(b, k);
          const double bound = rounding_bound(left, rounding_of(y.row(b), dims), dims);
          ASSERT_LE(std::abs(exact - got(a, b)), bound);
          if (bound > 0) largest = std::max(largest, std::abs(exact - got(a, b)) / bound);
        }
      }
      EXPECT_GT(largest, 0.3);
    }
  }
}

TEST(Rounding, SaysWhenNothingIsProven) {
  Mat<float> x(1, 40);
  EXPECT_TRUE(rounding_of(x.row(0), 40).usable);
  EXPECT_EQ(rounding_of(x.row(0), 40).norm, 0);
  x(0, 39) = 1e-30F;
  EXPECT_FALSE(rounding_of(x.row(0), 40).usable);
  x(0, 3) = 1;
  EXPECT_TRUE(rounding_of(x.row(0), 40).usable);
  EXPECT_EQ(std::round(rounding_of(x.row(0), 40).norm * 1000), 1000);
  x(0, 5) = -1e20F;
  EXPECT_FALSE(rounding_of(x.row(0), 40).usable);
}

}  // namespace
}  // namespace akin::kernels
