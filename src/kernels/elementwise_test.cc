// Attention and row-wise kernels against float64 loops on every instruction set.
#include "kernels/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/test_mat.h"
#include "kernels/attention.h"
#include "kernels/cpu.h"

namespace akin::kernels {
namespace {

class RowsOnEveryIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa())
      GTEST_SKIP() << "skipped: this CPU has no " << isa_name(GetParam());
    set_isa(GetParam());
  }
  void TearDown() override { set_isa(detected_isa()); }
};

double bias_at(const AttentionArgs& a, size_t h, size_t i, size_t j) {
  return a.bias == nullptr ? 0.0 : double(a.bias[h * a.bias_stride + a.bias_center + j - i]);
}

// Softmax attention by definition.
std::vector<double> reference(const AttentionArgs& a) {
  const size_t length = a.q.rows(), d = a.head_dim;
  std::vector<double> out(length * a.heads * d), p(length);
  for (size_t h = 0; h < a.heads; ++h) {
    for (size_t i = 0; i < length; ++i) {
      double max = -1e300, total = 0;
      for (size_t j = 0; j < length; ++j) {
        double s = 0;
        for (size_t c = 0; c < d; ++c) s += double(a.q(i, h * d + c)) * double(a.k(j, h * d + c));
        p[j] = s * a.scale + bias_at(a, h, i, j);
        const size_t distance = i > j ? i - j : j - i;
        if (a.window > 0 && distance > a.window / 2) p[j] = -INFINITY;
        max = std::max(max, p[j]);
      }
      for (auto& x : p) total += (x = std::exp(x - max));
      for (size_t c = 0; c < d; ++c) {
        double sum = 0;
        for (size_t j = 0; j < length; ++j) sum += p[j] / total * double(a.v(j, h * d + c));
        out[(i * a.heads + h) * d + c] = sum;
      }
    }
  }
  return out;
}

TEST_P(RowsOnEveryIsa, AttentionEqualsReference) {
  for (const size_t length : {1, 2, 17, 31, 33, 100, 256, 300, 700}) {
    for (const size_t d : {13, 26, 32, 64}) {
      for (const bool biased : {false, true}) {
        for (const size_t window : {0, 20}) {
          constexpr size_t kHeads = 2;
          const size_t width = 3 * kHeads * d;
          Mat<float> qkv = random_mat(length + 1, width, length * d, 1.5);
          const Mat<float> bias = random_mat(kHeads, 2 * length + 31, 7);
          Mat<float> out(length, kHeads * d);
          AttentionArgs args;
          const auto rows = std::as_const(qkv).view().row_range(0, length);
          args.q = rows.col_range(0, kHeads * d);
          args.k = rows.col_range(kHeads * d, kHeads * d);
          args.v = rows.col_range(2 * kHeads * d, kHeads * d);
          args.out = out.view();
          args.heads = kHeads;
          args.head_dim = d;
          args.scale = static_cast<float>(1 / std::sqrt(double(d)));
          args.window = window;
          if (biased) {
            args.bias = bias.data();
            args.bias_stride = bias.cols();
            args.bias_center = length - 1;
          }
          AttentionScratch scratch;
          for (size_t h = 0; h < kHeads; ++h) attention(args, h, 0, length, scratch);
          const auto expected = reference(args);
          double worst = 0;
          for (size_t i = 0; i < expected.size(); ++i)
            worst = std::max(worst, std::abs(expected[i] - double(out.data()[i])));
          ASSERT_LT(worst, 1e-5) << "length " << length << " d " << d << " bias " << biased
                                 << " window " << window;
        }
      }
    }
  }
}

TEST_P(RowsOnEveryIsa, NormsEqualReference) {
  for (const size_t n : {1, 13, 52, 312, 384, 769}) {
    const Mat<float> x = random_mat(3, n, n, 3), g = random_mat(1, n, 2), b = random_mat(1, n, 3);
    Mat<float> layer(3, n), rms(3, n);
    layer_norm(x.view(), g.data(), b.data(), 1e-5F, layer.view());
    rms_norm(x.view(), g.data(), 1e-6F, rms.view());
    for (size_t r = 0; r < 3; ++r) {
      double mean = 0, var = 0, square = 0;
      for (size_t i = 0; i < n; ++i) mean += double(x(r, i)) / double(n);
      for (size_t i = 0; i < n; ++i) var += std::pow(double(x(r, i)) - mean, 2) / double(n);
      for (size_t i = 0; i < n; ++i) square += std::pow(double(x(r, i)), 2) / double(n);
      for (size_t i = 0; i < n; ++i) {
        EXPECT_NEAR(
            layer(r, i),
            (double(x(r, i)) - mean) / std::sqrt(var + 1e-5) * double(g(0, i)) + double(b(0, i)),
            5e-6);
        EXPECT_NEAR(rms(r, i), double(x(r, i)) / std::sqrt(square + 1e-6) * double(g(0, i)), 5e-6);
      }
    }
  }
}

TEST_P(RowsOnEveryIsa, GeluOverItsWholeRange) {
  std::vector<float> x;
  for (int i = -40000; i <= 40000; ++i) x.push_back(static_cast<float>(i) * 2.5e-4F);
  x.insert(x.end(), {-1e30F, -100.0F, 100.0F, 1e30F, -0.0F});
  const std::vector<float> in = x;
  activate(x, Activation::gelu_erf);
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = 0.5 * double(in[i]) * std::erfc(-double(in[i]) / std::sqrt(2.0));
    ASSERT_NEAR(x[i], expected, 8e-8 + 1.2e-7 * std::abs(expected)) << in[i];
  }
}

TEST_P(RowsOnEveryIsa, RotaryGateAndDot) {
  const size_t half = 11;
  Mat<float> x = random_mat(2, 44, 5), cosine(2, half), sine(2, half);
  for (size_t t = 0; t < 2; ++t) {
    for (size_t i = 0; i < half; ++i) {
      cosine(t, i) = std::cos(0.3F * static_cast<float>(i + t));
      sine(t, i) = std::sin(0.3F * static_cast<float>(i + t));
    }
  }
  for (const bool interleaved : {false, true}) {
    Mat<float> y = random_mat(2, 44, 5);
    rotary(y.view(), 2, 22, 22, interleaved, std::as_const(cosine).view(),
           std::as_const(sine).view());
    for (size_t t = 0; t < 2; ++t) {
      for (size_t i = 0; i < half; ++i) {
        const size_t a = 22 + (interleaved ? 2 * i : i),
                     b = 22 + (interleaved ? 2 * i + 1 : half + i);
        EXPECT_NEAR(y(t, a), x(t, a) * cosine(t, i) - x(t, b) * sine(t, i), 1e-6);
        EXPECT_NEAR(y(t, b), x(t, b) * cosine(t, i) + x(t, a) * sine(t, i), 1e-6);
      }
    }
  }
  Mat<float> out(2, 22);
  const auto view = std::as_const(x).view();
  gated(view.col_range(0, 22), view.col_range(22, 22), Activation::relu, out.view());
  double sum = 0;
  for (size_t i = 0; i < 44; ++i) sum += double(x(0, i)) * double(x(1, i));
  EXPECT_NEAR(dot(x.row(0), x.row(1), 44), sum, 1e-5);
  for (size_t i = 0; i < 22; ++i) EXPECT_EQ(out(1, i), std::max(x(1, i), 0.0F) * x(1, 22 + i));
}

INSTANTIATE_TEST_SUITE_P(Isas, RowsOnEveryIsa,
                         testing::Values(Isa::baseline, Isa::sse4, Isa::avx2, Isa::avx512,
                                         Isa::vnni, Isa::amx),
                         [](const auto& test) { return std::string(isa_name(test.param)); });

}  // namespace
}  // namespace akin::kernels
