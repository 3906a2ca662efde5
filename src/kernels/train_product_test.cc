// Training's products against float64 loops: both sides plain and transposed, odd sizes, every
// instruction set.
#include "kernels/train_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/test_mat.h"
#include "kernels/cpu.h"

namespace akin::kernels {
namespace {

Mat<float> transposed(const Mat<float>& m) {
  Mat<float> out(m.cols(), m.rows());
  for (size_t r = 0; r < m.rows(); ++r) {
    for (size_t c = 0; c < m.cols(); ++c) out(c, r) = m(r, c);
  }
  return out;
}

std::vector<const float*> row_pointers(const Mat<float>& m) {
  std::vector<const float*> rows;
  for (size_t r = 0; r < m.rows(); ++r) rows.push_back(m.row(r));
  return rows;
}

float rounded(float x) {  // to bfloat16, nearest even
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000U;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

struct Shape {
  size_t m, n, k;
};

// A copy of m inside a wider matrix, whose other columns are 7.
Mat<float> framed(const Mat<float>& m) {
  Mat<float> out(m.rows(), m.cols() + 5);
  for (size_t i = 0; i < out.rows() * out.cols(); ++i) out.data()[i] = 7;
  for (size_t r = 0; r < m.rows(); ++r)
    std::memcpy(out.row(r) + 2, m.row(r), m.cols() * sizeof(float));
  return out;
}

// Every way to give A and B, with bias and with y added to; A and y lie in wider matrices.
void check(ProductNumbers numbers, const Shape& shape) {
  const auto [m, n, k] = shape;
  Mat<float> a = random_mat(m, k, 1 + m), b = random_mat(k, n, 2 + n);
  const Mat<float> y0 = random_mat(m, n, 3), bias = random_mat(1, n, 4);
  if (numbers == ProductNumbers::bf16) {
    for (Mat<float>* side : {&a, &b}) {
      for (size_t i = 0; i < side->rows() * side->cols(); ++i)
        side->data()[i] = rounded(side->data()[i]);
    }
  }
  const Mat<float> at = transposed(a), bt = transposed(b), wide_a = framed(a);
  for (const bool left : {false, true}) {
    for (const bool right : {false, true}) {
      LeftOperand x;
      RightOperand w;
      if (left) {
        x.set_transposed(numbers, at.view());
      } else {
        x.set(numbers, wide_a.view().col_range(2, k));
      }
      w.reserve(numbers, k, n);
      w.set_bias(0, {bias.data(), n});
      const size_t half = w.panels() / 2;
      for (const auto& [from, to] : {std::pair(half, w.panels()), std::pair(size_t{0}, half)}) {
        if (right) {
          w.pack_transposed(row_pointers(bt), from, to);
        } else {
          w.pack(row_pointers(b), from, to);
        }
      }
      Mat<float> frame = framed(y0);
      const MatView<float> y = frame.view().col_range(2, n);
      w.multiply(x, {EpilogueKind::add, {}}, y);
      for (size_t i = 0; i < m; ++i) {
        for (const size_t outside : {size_t{0}, size_t{1}, n + 2, n + 4})
          ASSERT_EQ(frame(i, outside), 7) << m << " " << n << " " << k;
        for (size_t j = 0; j < n; ++j) {
          double sum = static_cast<double>(y0(i, j)) + bias(0, j), size = 1;
          for (size_t c = 0; c < k; ++c) {
            const double term = static_cast<double>(a(i, c)) * b(c, j);
            sum += term;
            size += std::abs(term);
          }
          ASSERT_NEAR(y.row(i)[j], sum, 4e-7 * size)
              << m << " " << n << " " << k << " at " << i << "," << j << " " << left << right;
        }
      }
    }
  }
}

TEST(TrainProduct, F32EqualsReferenceOnEveryIsa) {
  for (const Isa isa : usable_isas()) {
    set_isa(isa);
    for (const Shape& shape : {Shape{1, 1, 1},
                               {13, 33, 17},
                               {40, 70, 129},
                               {7, 100, 300},
                               {64, 32, 256},
                               // low rank: narrow, and a short sum
                               {49, 8, 312},
                               {50, 312, 8},
                               {14, 16, 64},
                               {25, 24, 65}})
      check(ProductNumbers::f32, shape);
  }
  set_isa(detected_isa());
}

TEST(TrainProduct, Bf16EqualsProductOfRoundedMatrices) {
  if (!bf16_products_available()) GTEST_SKIP() << "skipped: this CPU is not fast at bf16";
  for (const Isa isa : {Isa::bf16, detected_isa()}) {  // on vectors and, where there are, on tiles
    set_isa(isa);
    for (const Shape& shape :
         {Shape{1, 1, 1}, {13, 33, 17}, {40, 70, 129}, {7, 100, 300}, {65, 47, 1100}, {32, 32, 31}})
      check(ProductNumbers::bf16, shape);
  }
  set_isa(detected_isa());
}

TEST(TrainProduct, RowsAloneDecideTheirSums) {
  const Mat<float> a = random_mat(50, 60, 1), b = random_mat(60, 40, 2);
  RightOperand w;
  w.reserve(ProductNumbers::f32, 60, 40);
  w.pack(row_pointers(b), 0, w.panels());
  Mat<float> all(50, 40), one(1, 40);
  LeftOperand x;
  x.set(ProductNumbers::f32, a.view());
  w.multiply(x, {}, all.view());
  x.set(ProductNumbers::f32, a.view().row_range(31, 1));
  w.multiply(x, {}, one.view());
  EXPECT_EQ(std::memcmp(one.data(), all.row(31), 40 * sizeof(float)), 0);
}

}  // namespace
}  // namespace akin::kernels
