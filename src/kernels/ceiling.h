// The fastest f32 arithmetic this CPU can do, for benchmarks: multiply-adds between registers, no
// memory.
#pragma once

#include <cstddef>

namespace akin::kernels {

// Runs `rounds` of independent vector multiply-adds and returns the floating-point operations done
// (two per lane).
double spin_multiply_adds(size_t rounds);

}  // namespace akin::kernels
