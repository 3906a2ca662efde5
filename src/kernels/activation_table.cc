#include "kernels/activation_table.h"

#include <cmath>
#include <numbers>

namespace akin::kernels {
namespace {

constexpr int kMaxNodes = kGeluDegree + 1;

double tail(double a) {
  return a * 0.5 * std::erfc(a / std::numbers::sqrt2);
}  // a < 0 too: piece 0 is smooth there

double slope_tail(double a) {
  return 0.5 * std::erfc(a / std::numbers::sqrt2) -
         a * std::exp(-a * a / 2) / std::sqrt(2 * std::numbers::pi);
}

// Interpolation at as many Chebyshev nodes: solves the small Vandermonde system by Gaussian
// elimination.
void fit(double (*f)(double), double center, double width, int nodes, double (&c)[kMaxNodes]) {
  double m[kMaxNodes][kMaxNodes + 1];
  for (int i = 0; i < nodes; ++i) {
    const double t = 0.5 * std::cos(std::numbers::pi * (2 * i + 1) / (2 * nodes));
    double power = 1;
    for (int j = 0; j < nodes; ++j, power *= t) m[i][j] = power;
    m[i][nodes] = f(center + t * width);
  }
  for (int p = 0; p < nodes; ++p) {
    int best = p;
    for (int i = p + 1; i < nodes; ++i) {
      if (std::abs(m[i][p]) > std::abs(m[best][p])) best = i;
    }
    for (int j = 0; j <= nodes; ++j) std::swap(m[p][j], m[best][j]);
    for (int i = 0; i < nodes; ++i) {
      if (i == p) continue;
      const double factor = m[i][p] / m[p][p];
      for (int j = p; j <= nodes; ++j) m[i][j] -= factor * m[p][j];
    }
  }
  for (int j = 0; j < nodes; ++j) c[j] = m[j][nodes] / m[j][j];
}

GeluTable make_table(double (*f)(double), int degree) {
  GeluTable table{};
  constexpr double kWidth = 1.0 / kGeluScale;
  for (int piece = 0; piece < kGeluPieces; ++piece) {
    double c[kMaxNodes];
    fit(f, piece * kWidth, kWidth, degree + 1, c);
    for (int j = 0; j <= degree; ++j) table.c[j][piece] = static_cast<float>(c[j]);
  }
  return table;
}

}  // namespace

const GeluTable& gelu_table() {
  static const GeluTable table = make_table(tail, kGeluDegree);
  return table;
}

const GeluTable& gelu_coarse_table() {
  static const GeluTable table = make_table(tail, kGeluCoarseDegree);
  return table;
}

const GeluTable& gelu_slope_table() {
  static const GeluTable table = make_table(slope_tail, kGeluDegree);
  return table;
}

}  // namespace akin::kernels
