// Every backend on every instruction set against a float64 loop: odd sizes, tails, epilogues, same
// bytes for any split.
#include "kernels/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "kernels/cpu.h"
#include "kernels/test_activation.h"

namespace akin::kernels {
namespace {

struct Case {
  size_t rows, n, k;
};
constexpr Case kCases[] = {{1, 1, 1},      {1, 33, 31},    {5, 26, 7},
                           {12, 312, 312}, {13, 64, 384},  {37, 70, 65},
                           {64, 48, 129},  {65, 100, 600}, {100, 96, 1200}};

struct Problem {
  Mat<float> x, w, y0;
  std::vector<float> bias;
  explicit Problem(const Case& c) : x(c.rows, c.k), w(c.n, c.k), y0(c.rows, c.n), bias(c.n) {
    Rng rng(c.rows * 1000 + c.n + c.k);
    for (size_t i = 0; i < c.rows * c.k; ++i) x.data()[i] = static_cast<float>(rng.normal());
    for (size_t i = 0; i < c.n * c.k; ++i)
      w.data()[i] = static_cast<float>(rng.normal() / std::sqrt(double(c.k)));
    for (size_t i = 0; i < c.rows * c.n; ++i) y0.data()[i] = static_cast<float>(rng.normal());
    for (auto& b : bias) b = static_cast<float>(rng.normal());
  }
  PackedLinear pack(Backend backend) const {
    return {backend, w.rows(), w.cols(),
            [&](size_t r, std::span<float> out) {
              std::memcpy(out.data(), w.row(r), out.size_bytes());
            },
            bias};
  }
  Mat<float> run(const PackedLinear& linear, Backend backend, Epilogue epilogue) const {
    Operand operand;
    operand.reserve(backend, x.rows(), x.cols());
    operand.set_rows(0, x.view());
    Mat<float> y = y0_copy();
    linear.run(operand, x.rows(), epilogue, y.view());
    return y;
  }
  Mat<float> y0_copy() const {
    Mat<float> y(y0.rows(), y0.cols());
    std::memcpy(y.data(), y0.data(), y0.rows() * y0.cols() * sizeof(float));
    return y;
  }
};

class LinearOnEveryIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa())
      GTEST_SKIP() << "skipped: this CPU has no " << isa_name(GetParam());
    set_isa(GetParam());
    set_f32_tiles(true);
  }
  void TearDown() override {
    set_isa(detected_isa());
    set_f32_tiles(false);
  }
};

TEST_P(LinearOnEveryIsa, F32EqualsReference) {
  const Backend backend = choose_backend(Precision::f32);
  for (const Case& c : kCases) {
    const Problem p(c);
    const PackedLinear linear = p.pack(backend);
    for (const Epilogue e : {Epilogue{EpilogueKind::store, {}}, Epilogue{EpilogueKind::add, {}},
                             Epilogue{EpilogueKind::activate, Activation::gelu_erf},
                             Epilogue{EpilogueKind::activate, Activation::gelu_tanh},
                             Epilogue{EpilogueKind::activate, Activation::silu},
                             Epilogue{EpilogueKind::activate, Activation::tanh},
                             Epilogue{EpilogueKind::activate, Activation::sigmoid},
                             Epilogue{EpilogueKind::activate, Activation::relu}}) {
      const Mat<float> y = p.run(linear, backend, e);
      double worst = 0;
      for (size_t r = 0; r < c.rows; ++r) {
        for (size_t n = 0; n < c.n; ++n) {
          double sum = 0;
          for (size_t k = 0; k < c.k; ++k) sum += double(p.x(r, k)) * double(p.w(n, k));
          sum += p.bias[n];
          if (e.kind == EpilogueKind::add) sum += p.y0(r, n);
          if (e.kind == EpilogueKind::activate) sum = activation_of(e.activation, sum);
          worst = std::max(worst, std::abs(sum - double(y(r, n))));
        }
      }
      EXPECT_LT(worst, 3e-6) << backend_name(backend) << " " << c.rows << "x" << c.n << "x" << c.k
                             << " act " << activation_name(e.activation);
    }
  }
}

// The form for short texts reads the same weights with plain multiply-adds.
TEST_P(LinearOnEveryIsa, ShortFormEqualsLongForm) {
  const Backend backend = choose_backend(Precision::f32), form = operand_backend(backend, 1);
  EXPECT_EQ(operand_backend(backend, 17), backend);
  for (const Case& c : kCases) {
    const Problem p(c);
    const PackedLinear linear = p.pack(backend);
    const Mat<float> tall = p.run(linear, backend, {}), few = p.run(linear, form, {});
    for (size_t i = 0; i < c.rows * c.n; ++i) {
      ASSERT_NEAR(tall.data()[i], few.data()[i], 4e-6) << c.rows << "x" << c.n << "x" << c.k;
    }
  }
}

TEST_P(LinearOnEveryIsa, Int8EqualsIntegerReference) {
  const Backend backend = choose_backend(Precision::int8);
  for (const Case& c : kCases) {
    const Problem p(c);
    const Mat<float> y = p.run(p.pack(backend), backend, {});
    const auto quantize = [](const float* row, size_t k, std::vector<int>& q) {
      float max = 0;
      for (size_t i = 0; i < k; ++i) max = std::max(max, std::abs(row[i]));
      q.resize(k);
      for (size_t i = 0; i < k; ++i)
        q[i] = static_cast<int>(std::nearbyintf(row[i] * (127.0F / max)));
      return max / 127.0F;
    };
    std::vector<int> qx, qw;
    for (size_t r = 0; r < c.rows; ++r) {
      const float sx = quantize(p.x.row(r), c.k, qx);
      for (size_t n = 0; n < c.n; ++n) {
        const float sw = quantize(p.w.row(n), c.k, qw);
        int sum = 0;
        for (size_t k = 0; k < c.k; ++k) sum += qx[k] * qw[k];
        ASSERT_EQ(y(r, n), static_cast<float>(sum) * (sx * sw) + p.bias[n]) << r << "," << n;
      }
    }
  }
}

// GELU is coarser there: what it gives is rounded to 8 bits next.
TEST_P(LinearOnEveryIsa, Int8EpiloguesEqualReference) {
  const Backend backend = choose_backend(Precision::int8);
  for (const Case& c : kCases) {
    const Problem p(c);
    const PackedLinear linear = p.pack(backend);
    const Mat<float> plain = p.run(linear, backend, {}),
                     added = p.run(linear, backend, {EpilogueKind::add, {}}),
                     gelu = p.run(linear, backend, {EpilogueKind::activate, Activation::gelu_erf});
    for (size_t i = 0; i < c.rows * c.n; ++i) {
      const float sum = plain.data()[i];
      ASSERT_EQ(added.data()[i], sum + p.y0.data()[i]);
      ASSERT_NEAR(gelu.data()[i], activation_of(Activation::gelu_erf, double(sum)), 1.5e-5);
    }
  }
}

TEST_P(LinearOnEveryIsa, NanStaysNan) {
  Problem p({3, 40, 8});
  p.bias[35] = std::numeric_limits<float>::quiet_NaN();
  for (const Precision precision : {Precision::f32, Precision::int8}) {
    const Backend backend = choose_backend(precision);
    const Mat<float> y =
        p.run(p.pack(backend), backend, {EpilogueKind::activate, Activation::gelu_erf});
    for (size_t r = 0; r < 3; ++r) {
      EXPECT_TRUE(std::isnan(y(r, 35))) << r;
      EXPECT_FALSE(std::isnan(y(r, 34))) << r;
    }
  }
}

TEST_P(LinearOnEveryIsa, SameBytesForAnySplitAndNeighbours) {
  for (const Precision precision : {Precision::f32, Precision::int8}) {
    const Backend backend = choose_backend(precision);
    const Problem p({100, 130, 200});
    const PackedLinear linear = p.pack(backend);
    const Mat<float> whole = p.run(linear, backend, {});
    Operand operand;
    operand.reserve(backend, 100, 200);
    operand.set_rows(0, p.x.view());
    Mat<float> split(100, 130);
    const size_t middle = linear.panels() / 2;
    for (const auto& [begin, end] : {std::pair<size_t, size_t>{0, 32}, {32, 64}, {64, 100}}) {
      linear.run(operand, begin, end, middle, linear.panels(), {}, split.view());
      linear.run(operand, begin, end, 0, middle, {}, split.view());
    }
    EXPECT_EQ(0, std::memcmp(whole.data(), split.data(), 100 * 130 * sizeof(float)));
    for (size_t r : {0, 31, 57, 99}) {  // one row alone
      operand.reserve(backend, 1, 200);
      operand.set_rows(0, p.x.view().row_range(r, 1));
      Mat<float> alone(1, 130);
      linear.run(operand, 1, {}, alone.view());
      EXPECT_EQ(0, std::memcmp(whole.row(r), alone.data(), 130 * sizeof(float)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, LinearOnEveryIsa,
                         testing::Values(Isa::baseline, Isa::sse4, Isa::avx2, Isa::avx512,
                                         Isa::vnni, Isa::amx),
                         [](const auto& test) { return std::string(isa_name(test.param)); });

}  // namespace
}  // namespace akin::kernels
