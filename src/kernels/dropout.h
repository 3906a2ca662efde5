// Dropout whose mask is a function of a key and an element's number: nothing is stored, backward
// computes it again. Kept elements are scaled by 1 / (1 - p) (Srivastava et al. 2014).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace akin::kernels {

struct Dropout {
  uint64_t key = 0;
  uint32_t threshold = 0;  // elements whose hash is below this are dropped; 0: none
  float scale = 1;         // of those that are kept

  bool active() const { return threshold != 0; }
};

// p in [0, 1).
Dropout make_dropout(double p, uint64_t key);
// A key for one use of one mask: a hash of the parts.
uint64_t dropout_key(uint64_t seed, uint64_t text, uint64_t layer, uint64_t site);

// What an element is multiplied by: 0 or scale. The vector kernels below compute the same.
float dropout_factor(const Dropout& dropout, uint32_t element);

// The multipliers of the two-round 32-bit mixer that C. Wellons' hash-prospector found (lowbias32);
// the halves of the key go in before each round.
inline constexpr uint32_t kDropoutFirst = 0x7FEB352DU, kDropoutSecond = 0x846CA68BU;

// out[i] = x[i] * factor(first + i), plus residual[i] unless that is null. All may be the same.
void apply_dropout(const Dropout& dropout, uint32_t first, std::span<const float> x,
                   const float* residual, float* out);

}  // namespace akin::kernels
