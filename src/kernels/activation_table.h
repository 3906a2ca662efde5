// Coefficients of a piecewise polynomial for the exact (erf) GELU. Not the kernel: see
// activation-inl.h.
//
// gelu(x) = x Phi(x) = max(x, 0) - g(|x|) with g(a) = a (1 - Phi(a)), smooth on [0, inf) and below
// 6e-9 past kGeluRange. g is fitted on kGeluPieces equal pieces of [0, kGeluRange) by a polynomial
// of degree kGeluDegree in t in [-1/2, 1/2].
#pragma once

namespace akin::kernels {

inline constexpr int kGeluPieces = 16;
inline constexpr int kGeluDegree = 5;
inline constexpr float kGeluRange = 6.0F;

// table[degree][piece]; computed once, in double, from std::erfc. Max abs error of g is below 3e-8.
struct GeluTable {
  alignas(64) float c[kGeluDegree + 1][kGeluPieces];
};
const GeluTable& gelu_table();

}  // namespace akin::kernels
