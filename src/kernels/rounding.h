// How far the product of two vectors rounded to bfloat16 can lie from their product in f32: what a
// search needs to rule pairs out by the fast product and to leave only the rest to the exact one.
//
// With x' the rounded x:  x . y - x' . y' = (x - x') . y + x' . (y - y'), so the difference is at
// most |x - x'| |y| + |x'| |y - y'| (Cauchy and Schwarz), plus what sums in f32 lose, on both
// sides.
#pragma once

#include <cstddef>

namespace akin::kernels {

// Bounds from above of |x| and |x - x'|, a little larger than they need be.
struct Rounding {
  float norm = 0, lost = 0;
  bool usable = true;  // false: a value so large or all so small that nothing is proven; use f32
};
Rounding rounding_of(const float* x, size_t dims);  // of finite values

// The most by which sums of `dims` products, of x and y in f32 in any order with one rounding a
// product or two, and of x' and y' on bf16.h's units, can differ. Grows with each of its four
// sizes.
inline float rounding_bound(const Rounding& x, const Rounding& y, size_t dims) {
  // D steps round by at most 2^-24 each on either side; the rest is for this formula's own
  // rounding and for what its users add and subtract.
  const float sums = 2.5F / 16777216.0F * static_cast<float>(2 * dims + 64);
  return 1.0001F * (x.lost * y.norm + (x.norm + x.lost) * y.lost + sums * x.norm * y.norm);
}

}  // namespace akin::kernels
