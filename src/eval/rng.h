// The random streams of numpy and CPython, bit for bit: MT19937 seeded both ways, and PCG64. Not
// for our own random choices (base/rng.h): these exist because published scores hang on them.
// Follows Matsumoto and Nishimura 1998 (MT19937), O'Neill 2014 (PCG), Lemire arXiv:1805.10941, and
// the behaviour of numpy 1.17+ and CPython 3.11+. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace akin::eval {

// The 32-bit Mersenne Twister.
class Mt19937 {
 public:
  explicit Mt19937(uint32_t seed);                  // init_genrand
  explicit Mt19937(std::span<const uint32_t> key);  // init_by_array; the key is not empty
  uint32_t u32() {
    if (next_ == kWords) refill();
    uint32_t y = state_[next_++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9D2C5680U;
    y ^= (y << 15) & 0xEFC60000U;
    return y ^ (y >> 18);
  }
  uint64_t u64() {  // the first draw is the high word
    const uint64_t high = u32();
    return high << 32 | u32();
  }
  double real() {  // [0, 1), 53 bits
    const uint32_t a = u32() >> 5, b = u32() >> 6;
    return (a * 67108864.0 + b) / 9007199254740992.0;
  }

 private:
  static constexpr size_t kWords = 624;
  void refill();
  std::array<uint32_t, kWords> state_{};
  size_t next_ = kWords;
};

// numpy.random.RandomState(seed), also what numpy.random.seed(seed) starts.
class NumpyRandom {
 public:
  explicit NumpyRandom(uint32_t seed) : core_(seed) {}
  uint32_t u32() { return core_.u32(); }
  double uniform() { return core_.real(); }             // random_sample()
  size_t interval(size_t max);                          // [0, max], masked rejection
  size_t randint(size_t n) { return interval(n - 1); }  // randint(0, n); n > 0
  void randint(size_t n, std::span<size_t> out);        // randint(0, n, out.size())
  std::vector<size_t> randint(size_t n, size_t count);
  std::vector<size_t> permutation(size_t n);
  std::vector<size_t> choice(size_t n, size_t count);  // choice(n, count, replace=False)
  // One draw of choice(n, p=p), given cdf = cumsum(p) / sum(p): a double and an upper bound.
  size_t choice(std::span<const double> cdf);
  template <typename T>
  void shuffle(std::span<T> values) {
    for (size_t i = values.size(); i-- > 1;) std::swap(values[i], values[interval(i)]);
  }

 private:
  Mt19937 core_;
};

// CPython's random.Random(seed).
class PythonRandom {
 public:
  explicit PythonRandom(uint64_t seed);
  double uniform() { return core_.real(); }             // random()
  size_t below(size_t n);                               // _randbelow(n); n > 0
  std::vector<size_t> sample(size_t n, size_t count);   // sample(range(n), count); count <= n
  std::vector<size_t> choices(size_t n, size_t count);  // choices(range(n), k=count)
  template <typename T>
  void shuffle(std::span<T> values) {
    for (size_t i = values.size(); i-- > 1;) std::swap(values[i], values[below(i + 1)]);
  }

 private:
  Mt19937 core_;
};

// numpy.random.default_rng(seed): PCG64 (XSL-RR 128/64) seeded through SeedSequence.
class Pcg64 {
 public:
  explicit Pcg64(uint64_t seed);
  uint64_t u64();
  uint32_t u32();  // the low half of a u64 first, then its high half
  double uniform() { return static_cast<double>(u64() >> 11) * 0x1p-53; }
  size_t interval(size_t max);  // [0, max], masked rejection
  std::vector<size_t> permutation(size_t n);
  std::vector<size_t> choice(size_t n, size_t count);  // choice(n, count, replace=False)
  template <typename T>
  void shuffle(std::span<T> values) {
    for (size_t i = values.size(); i-- > 1;) std::swap(values[i], values[interval(i)]);
  }

 private:
  size_t bounded(size_t max);  // [0, max], Lemire's method
  unsigned __int128 state_ = 0, increment_ = 0;
  std::optional<uint32_t> buffered_;
};

}  // namespace akin::eval
