// What the products on x86's newer instructions share: rows of lines, masks, prefetches. AMX's own
// is in amx-inl.h. All but the sizes needs AKIN_HAVE_AVX512_BF16.
#pragma once

#include <cstddef>
#include <cstdint>

namespace akin::kernels::x86 {

inline constexpr size_t kCacheLine = 64;  // bytes

}  // namespace akin::kernels::x86

#if defined(__x86_64__) && defined(__linux__)
#define AKIN_HAVE_AVX512_BF16 1
#include <immintrin.h>

#define AKIN_BF16_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

namespace akin::kernels::x86 {

// Into L2: what the next piece of work will read.
AKIN_BF16_TARGET inline void prefetch_far(const uint8_t* from, size_t lines) {
  for (size_t line = 0; line < lines; ++line) _mm_prefetch(from + line * kCacheLine, _MM_HINT_T1);
}

AKIN_BF16_TARGET inline __mmask16 lanes_left(size_t left) {
  return left >= 16 ? 0xFFFF : static_cast<__mmask16>((1U << left) - 1);
}

}  // namespace akin::kernels::x86
#endif
