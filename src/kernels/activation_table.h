// Coefficients of a piecewise polynomial for the exact (erf) GELU. Not the kernel: see
// activation-inl.h.
//
// gelu(x) = x Phi(x) = max(x, 0) - g(|x|) with g(a) = a (1 - Phi(a)), smooth on [0, inf) and below
// 3e-9 at kGeluRange. With u = a * kGeluScale, piece i = round(u) is a polynomial of degree
// kGeluDegree, or of kGeluCoarseDegree, in t = u - i, |t| <= 1/2; u stops at kGeluPieces - 1/2.
#pragma once

namespace akin::kernels {

inline constexpr int kGeluPieces = 16;
inline constexpr int kGeluDegree = 5;
inline constexpr int kGeluCoarseDegree = 3;
inline constexpr float kGeluRange = 6.2F;
inline constexpr float kGeluScale = (kGeluPieces - 0.5F) / kGeluRange;

// table[degree][piece]; computed once, in double, from std::erfc. Max abs error of g is below 3e-8.
struct GeluTable {
  alignas(64) float c[kGeluDegree + 1][kGeluPieces];
};
const GeluTable& gelu_table();
// The same with the coarse degree, for values that are quantised next: max abs error below 1.4e-5.
// In 8 bits the numbers of a row lie further apart than that unless all are below 0.002.
const GeluTable& gelu_coarse_table();
// The same for GELU's derivative: gelu'(x) = 1 - s(x) for x >= 0 and s(-x) below, with
// s(a) = 1 - Phi(a) - a phi(a). Max abs error of s is below 3e-7.
const GeluTable& gelu_slope_table();

}  // namespace akin::kernels
