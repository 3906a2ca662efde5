// Backward kernels against central differences in double of the definitions, on every instruction
// set; dropout's mask against its scalar form.
#include "kernels/gradients.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "base/rng.h"
#include "base/test_mat.h"
#include "kernels/attention_backward.h"
#include "kernels/cpu.h"
#include "kernels/dropout.h"
#include "kernels/test_activation.h"

namespace akin::kernels {
namespace {

class GradientsOnEveryIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa())
      GTEST_SKIP() << "skipped: this CPU has no " << isa_name(GetParam());
    set_isa(GetParam());
  }
  void TearDown() override { set_isa(detected_isa()); }
};

std::vector<double> doubles(const float* x, size_t n) { return {x, x + n}; }

// (f(x + h e_i) - f(x - h e_i)) / 2h.
double slope(const std::function<double(const std::vector<double>&)>& f, std::vector<double> x,
             size_t i) {
  constexpr double kStep = 1e-6;
  const double value = x[i];
  x[i] = value + kStep;
  const double up = f(x);
  x[i] = value - kStep;
  return (up - f(x)) / (2 * kStep);
}

double norm_sum(const std::vector<double>& x, const std::vector<double>& gamma, const float* dy,
                bool centered, double eps) {
  const auto n = static_cast<double>(x.size());
  double mean = 0, square = 0, sum = 0;
  if (centered) {
    for (const double v : x) mean += v / n;
  }
  for (const double v : x) square += (v - mean) * (v - mean) / n;
  for (size_t i = 0; i < x.size(); ++i)
    sum += double(dy[i]) * gamma[i] * (x[i] - mean) / std::sqrt(square + eps);
  return sum;
}

TEST_P(GradientsOnEveryIsa, Norms) {
  for (const size_t n : {1, 5, 16, 37, 64}) {
    for (const bool centered : {true, false}) {
      const Mat<float> x = random_mat(3, n, n, 2), dy = random_mat(3, n, n + 1),
                       gamma = random_mat(1, n, n + 2);
      Mat<float> dx(3, n), d_gamma(1, n), d_beta(1, n);
      if (centered) {
        layer_norm_backward(x.view(), gamma.data(), 1e-3F, dy.view(), dx.view(), d_gamma.data(),
                            d_beta.data());
      } else {
        rms_norm_backward(x.view(), gamma.data(), 1e-3F, dy.view(), dx.view(), d_gamma.data());
      }
      std::vector<double> want_gamma(n), want_beta(n);
      for (size_t r = 0; r < 3; ++r) {
        for (size_t i = 0; i < n; ++i) {
          const auto of_x = [&](const std::vector<double>& v) {
            return norm_sum(v, doubles(gamma.data(), n), dy.row(r), centered, double(1e-3F));
          };
          const auto of_gamma = [&](const std::vector<double>& v) {
            return norm_sum(doubles(x.row(r), n), v, dy.row(r), centered, double(1e-3F));
          };
          EXPECT_NEAR(dx(r, i), slope(of_x, doubles(x.row(r), n), i), 2e-5) << n;
          want_gamma[i] += slope(of_gamma, doubles(gamma.data(), n), i);
          want_beta[i] += double(dy(r, i));
        }
      }
      for (size_t i = 0; i < n; ++i) {
        EXPECT_NEAR(d_gamma(0, i), want_gamma[i], 1e-5);
        EXPECT_NEAR(d_beta(0, i), centered ? want_beta[i] : 0.0, 1e-5);
      }
    }
  }
}

double activation_slope(Activation a, double x) {
  constexpr double kStep = 1e-5;
  return (activation_of(a, x + kStep) - activation_of(a, x - kStep)) / (2 * kStep);
}

TEST_P(GradientsOnEveryIsa, ActivationsAndGates) {
  constexpr size_t kCount = 1501;
  Mat<float> x(1, 2 * kCount), dy = random_mat(1, kCount, 3);
  for (size_t i = 0; i < kCount; ++i) {
    x(0, i) = -7.5F + 0.01F * static_cast<float>(i) + 0.0043F;
    x(0, kCount + i) = dy(0, kCount - 1 - i);
  }
  for (const Activation a :
       {Activation::gelu_erf, Activation::gelu_tanh, Activation::relu, Activation::silu,
        Activation::tanh, Activation::sigmoid, Activation::identity}) {
    Mat<float> y(1, kCount), only(1, kCount), dx(1, kCount), gated(1, 2 * kCount);
    const MatView<const float> gate = std::as_const(x).view().col_range(0, kCount);
    activation_forward(gate, a, only.view());
    activation_backward(gate, a, dy.view(), y.view(), dx.view());
    for (size_t i = 0; i < kCount; ++i) {
      const double at = double(x(0, i)), g = double(dy(0, i));
      EXPECT_EQ(y(0, i), only(0, i));
      EXPECT_NEAR(y(0, i), activation_of(a, at), 1e-6 * (1 + std::abs(at)));
      EXPECT_NEAR(dx(0, i), g * activation_slope(a, at), 1e-6 * (0.4 + std::abs(g)))
          << activation_name(a) << " at " << at;
    }
    gated_backward(std::as_const(x).view(), a, dy.view(), y.view(), gated.view());
    for (size_t i = 0; i < kCount; ++i) {
      const double at = double(x(0, i)), up = double(x(0, kCount + i)), g = double(dy(0, i));
      const double size = 1 + std::abs(at) * std::abs(up) + std::abs(g * up) + std::abs(g * at);
      EXPECT_NEAR(y(0, i), activation_of(a, at) * up, 1e-6 * size);
      EXPECT_NEAR(gated(0, i), g * up * activation_slope(a, at), 1e-6 * size);
      EXPECT_NEAR(gated(0, kCount + i), g * activation_of(a, at), 1e-6 * size);
    }
  }
}

TEST_P(GradientsOnEveryIsa, Sums) {
  const Mat<float> x = random_mat(27, 37, 1);
  Mat<float> sums(1, 37), twice(27, 37);
  add_column_sums(x.view(), sums.data());
  add_rows(x.view(), x.view(), twice.view());
  for (size_t c = 0; c < 37; ++c) {
    double sum = 0;
    for (size_t r = 0; r < 27; ++r) {
      sum += double(x(r, c));
      EXPECT_EQ(twice(r, c), 2 * x(r, c));
    }
    EXPECT_NEAR(sums(0, c), sum, 1e-5);
  }
}

TEST_P(GradientsOnEveryIsa, DropoutIsItsScalarForm) {
  const Dropout dropout = make_dropout(0.3, dropout_key(7, 3, 1, 2));
  std::vector<float> x(1003, 2.0F), sum(1003), residual(1003, 1.0F);
  apply_dropout(dropout, 5, x, residual.data(), sum.data());
  apply_dropout(dropout, 5, x, nullptr, x.data());
  size_t dropped = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(x[i], 2 * dropout_factor(dropout, static_cast<uint32_t>(5 + i)));
    EXPECT_EQ(sum[i], x[i] + 1);
    dropped += x[i] == 0 ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(dropped), 301, 60);
}

struct AttentionCase {
  size_t length, head_dim, window;
  bool biased, dropped;
};

constexpr size_t kHeads = 2;

// The sum of d_out * attention in double, from q, k, v (one [L, 3 H d] matrix) and a bias.
double attention_sum(const AttentionCase& c, const std::vector<double>& qkv,
                     const std::vector<double>& bias, const Dropout& dropout,
                     const Mat<float>& d_out, double scale) {
  const size_t width = kHeads * c.head_dim;
  double sum = 0;
  std::vector<double> p(c.length);
  for (size_t h = 0; h < kHeads; ++h) {
    for (size_t i = 0; i < c.length; ++i) {
      double max = -1e300, total = 0;
      for (size_t j = 0; j < c.length; ++j) {
        const size_t distance = i > j ? i - j : j - i;
        p[j] = 0;
        for (size_t e = h * c.head_dim; e < (h + 1) * c.head_dim; ++e)
          p[j] += qkv[i * 3 * width + e] * qkv[j * 3 * width + width + e];
        p[j] = p[j] * scale + (c.biased ? bias[h * 2 * c.length + c.length + j - i] : 0);
        if (c.window > 0 && distance > c.window / 2) p[j] = -INFINITY;
        max = std::max(max, p[j]);
      }
      for (double& v : p) total += v = std::exp(v - max);
      for (size_t j = 0; j < c.length; ++j) {
        const auto element = static_cast<uint32_t>((h * c.length + i) * c.length + j);
        const double weight = p[j] / total * (c.dropped ? dropout_factor(dropout, element) : 1);
        for (size_t e = h * c.head_dim; e < (h + 1) * c.head_dim; ++e)
          sum += double(d_out(i, e)) * weight * qkv[j * 3 * width + 2 * width + e];
      }
    }
  }
  return sum;
}

void check_attention(const AttentionCase& c) {
  const size_t width = kHeads * c.head_dim, stride = 2 * c.length + 16;
  const size_t readable = c.length + 16;  // 16 floats and more behind the rows in use
  const Mat<float> qkv = random_mat(readable, 3 * width, 11 * c.length),
                   d_out = random_mat(readable, width, 5), bias = random_mat(kHeads, stride, 6);
  Mat<float> out(c.length, width), d_qkv(c.length, 3 * width), d_bias(kHeads + 1, stride),
      log_sums(c.length, kHeads);
  const Dropout dropout = make_dropout(0.25, 77);
  AttentionGradientArgs args;
  const MatView<const float> rows = qkv.view().row_range(0, c.length);
  args.forward.q = rows.col_range(0, width);
  args.forward.k = rows.col_range(width, width);
  args.forward.v = rows.col_range(2 * width, width);
  args.forward.out = out.view();
  args.forward.heads = kHeads;
  args.forward.head_dim = c.head_dim;
  args.forward.scale = 0.4F;
  args.forward.window = c.window;
  args.forward.log_sums = log_sums.data();
  if (c.dropped) args.forward.dropout = &dropout;
  if (c.biased) {
    args.forward.bias = bias.data();
    args.forward.bias_stride = args.bias_stride = stride;
    args.forward.bias_center = args.bias_center = c.length;
    args.d_bias = d_bias.data();
  }
  args.d_out = d_out.view().row_range(0, c.length);
  args.dq = d_qkv.view().col_range(0, width);
  args.dk = d_qkv.view().col_range(width, width);
  args.dv = d_qkv.view().col_range(2 * width, width);
  AttentionScratch scratch;
  AttentionGradientScratch gradient_scratch;
  for (size_t h = 0; h < kHeads; ++h) {
    attention(args.forward, h, 0, c.length, scratch);
    attention_backward(args, h, gradient_scratch);
  }
  const std::vector<double> x = doubles(qkv.data(), c.length * 3 * width);
  std::vector<double> b(kHeads * 2 * c.length);
  for (size_t h = 0; h < kHeads; ++h) {
    for (size_t i = 0; i < 2 * c.length; ++i) b[h * 2 * c.length + i] = double(bias(h, i));
  }
  Rng rng(c.length);
  for (int n = 0; n < 9; ++n) {
    const size_t i = rng.below(x.size());
    const auto of_x = [&](const std::vector<double>& v) {
      return attention_sum(c, v, b, dropout, d_out, double(0.4F));
    };
    EXPECT_NEAR(d_qkv.data()[i], slope(of_x, x, i), 5e-5) << c.length << " " << c.head_dim;
  }
  for (int n = 0; n < 3 && c.biased; ++n) {
    const size_t h = rng.below(kHeads), i = 1 + rng.below(2 * c.length - 1);
    const auto of_b = [&](const std::vector<double>& v) {
      return attention_sum(c, x, v, dropout, d_out, double(0.4F));
    };
    EXPECT_NEAR(d_bias(h, i), slope(of_b, b, h * 2 * c.length + i), 5e-5) << i;
  }
}

TEST_P(GradientsOnEveryIsa, Attention) {
  check_attention({1, 4, 0, false, false});
  check_attention({5, 13, 0, true, true});
  check_attention({33, 26, 6, true, true});
  check_attention({61, 8, 0, false, true});
}

// Several tiles of keys and of queries.
TEST(AttentionGradient, LongText) {
  check_attention({300, 5, 0, true, true});
  check_attention({310, 5, 40, false, false});
}

INSTANTIATE_TEST_SUITE_P(Isa, GradientsOnEveryIsa, testing::ValuesIn(usable_isas()),
                         [](const auto& isa) { return std::string(isa_name(isa.param)); });

}  // namespace
}  // namespace akin::kernels
