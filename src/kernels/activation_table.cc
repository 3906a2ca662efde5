#include "kernels/activation_table.h"

#include <cmath>
#include <numbers>

namespace akin::kernels {
namespace {

constexpr int kNodes = kGeluDegree + 1;

double tail(double a) {
  return a * 0.5 * std::erfc(a / std::numbers::sqrt2);
}  // a < 0 too: piece 0 is smooth there

double slope_tail(double a) {
  return 0.5 * std::erfc(a / std::numbers::sqrt2) -
         a * std::exp(-a * a / 2) / std::sqrt(2 * std::numbers::pi);
}

// Interpolation at Chebyshev nodes: solves the small Vandermonde system by Gaussian elimination.
void fit(double (*f)(double), double center, double width, double (&c)[kNodes]) {
  double m[kNodes][kNodes + 1];
  for (int i = 0; i < kNodes; ++i) {
    const double t = 0.5 * std::cos(std::numbers::pi * (2 * i + 1) / (2 * kNodes));
    double power = 1;
    for (int j = 0; j < kNodes; ++j, power *= t) m[i][j] = power;
    m[i][kNodes] = f(center + t * width);
  }
  for (int p = 0; p < kNodes; ++p) {
    int best = p;
    for (int i = p + 1; i < kNodes; ++i) {
      if (std::abs(m[i][p]) > std::abs(m[best][p])) best = i;
    }
    for (int j = 0; j <= kNodes; ++j) std::swap(m[p][j], m[best][j]);
    for (int i = 0; i < kNodes; ++i) {
      if (i == p) continue;
      const double factor = m[i][p] / m[p][p];
      for (int j = p; j <= kNodes; ++j) m[i][j] -= factor * m[p][j];
    }
  }
  for (int j = 0; j < kNodes; ++j) c[j] = m[j][kNodes] / m[j][j];
}

GeluTable make_table(double (*f)(double)) {
  GeluTable table{};
  constexpr double kWidth = 1.0 / kGeluScale;
  for (int piece = 0; piece < kGeluPieces; ++piece) {
    double c[kNodes];
    fit(f, piece * kWidth, kWidth, c);
    for (int j = 0; j < kNodes; ++j) table.c[j][piece] = static_cast<float>(c[j]);
  }
  return table;
}

}  // namespace

const GeluTable& gelu_table() {
  static const GeluTable table = make_table(tail);
  return table;
}

const GeluTable& gelu_slope_table() {
  static const GeluTable table = make_table(slope_tail);
  return table;
}

}  // namespace akin::kernels
