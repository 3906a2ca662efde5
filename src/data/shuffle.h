// A random order of [0, size) that is computed, not stored: a keyed permutation, so that an epoch
// over any number of records needs no memory and can be entered anywhere. A Feistel network over
// just enough bits, walked until it lands below `size` (Black and Rogaway, "Ciphers with Arbitrary
// Finite Domains", 2002). Not cryptography.
#pragma once

#include <bit>
#include <cstdint>

namespace akin::data {

class Shuffle {
 public:
  Shuffle(uint64_t size, uint64_t key) : size_(size), key_(key) {
    const uint32_t bits = size < 2 ? 2U : static_cast<uint32_t>(std::bit_width(size - 1));
    low_bits_ = bits < 2 ? 1 : bits / 2;
    high_bits_ = bits < 2 ? 1 : bits - low_bits_;
  }
  uint64_t size() const { return size_; }

  // The number at this place of the order; place < size.
  uint64_t at(uint64_t place) const {
    do {
      place = permuted(place);
    } while (place >= size_);
    return place;
  }

 private:
  static constexpr uint64_t kRounds = 8;  // pairs of half rounds

  // Stafford's mix 13 of splitmix64.
  static uint64_t mixed(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  uint64_t permuted(uint64_t x) const {
    uint64_t low = x & ((uint64_t{1} << low_bits_) - 1), high = x >> low_bits_;
    uint64_t round_key = key_;
    for (uint64_t round = 0; round < kRounds; ++round) {
      round_key += 0x9E3779B97F4A7C15ULL;
      high ^= mixed(low ^ round_key) >> (64 - high_bits_);
      round_key += 0x9E3779B97F4A7C15ULL;
      low ^= mixed(high ^ round_key) >> (64 - low_bits_);
    }
    return high << low_bits_ | low;
  }

  uint64_t size_, key_;
  uint32_t low_bits_ = 1, high_bits_ = 1;
};

}  // namespace akin::data
