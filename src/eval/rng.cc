#include "eval/rng.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <unordered_set>

#include "base/error.h"

namespace akin::eval {
namespace {

constexpr uint32_t kMax32 = 0xFFFFFFFFU;

std::vector<size_t> iota(size_t n) {
  std::vector<size_t> values(n);
  std::iota(values.begin(), values.end(), size_t{0});
  return values;
}

// permutation(n) of either generator of numpy.
template <typename Random>
std::vector<size_t> shuffled_range(Random& random, size_t n) {
  auto values = iota(n);
  random.shuffle(std::span<size_t>(values));
  return values;
}

// The least 2^k - 1 that is not below max.
uint64_t mask_of(uint64_t max) { return ~uint64_t{0} >> std::countl_zero(max | 1); }

// numpy's random_interval: draws masked words until one is in range.
template <typename Core>
size_t masked_interval(Core& core, uint64_t max) {
  if (max == 0) return 0;
  const uint64_t mask = mask_of(max);
  while (true) {
    const uint64_t value = (max <= kMax32 ? core.u32() : core.u64()) & mask;
    if (value <= max) return value;
  }
}

// The 32-bit words of a seed, low first, at least one.
std::vector<uint32_t> seed_words(uint64_t seed) {
  std::vector<uint32_t> words = {static_cast<uint32_t>(seed)};
  if (seed >> 32 != 0) words.push_back(static_cast<uint32_t>(seed >> 32));
  return words;
}

// numpy's SeedSequence(seed).generate_state(4, uint64): a pool of four words, each mixed into all
// others, then stretched.
std::array<uint64_t, 4> seed_sequence(uint64_t seed) {
  constexpr uint32_t kInitA = 0x43B0D7E5U, kMulA = 0x931E8875U;
  constexpr uint32_t kInitB = 0x8B51F9DDU, kMulB = 0x58F38DEDU;
  constexpr uint32_t kMixLeft = 0xCA01F9DDU, kMixRight = 0x4973F715U;
  const std::vector<uint32_t> entropy = seed_words(seed);
  uint32_t hash = kInitA;
  const auto hash_mix = [&hash](uint32_t x) {
    x ^= hash;
    hash *= kMulA;
    x *= hash;
    return x ^ (x >> 16);
  };
  const auto mix = [](uint32_t x, uint32_t y) {
    const uint32_t r = kMixLeft * x - kMixRight * y;
    return r ^ (r >> 16);
  };
  std::array<uint32_t, 4> pool{};
  for (size_t i = 0; i < 4; ++i) pool[i] = hash_mix(i < entropy.size() ? entropy[i] : 0);
  for (size_t from = 0; from < 4; ++from) {
    for (size_t to = 0; to < 4; ++to) {
      if (from != to) pool[to] = mix(pool[to], hash_mix(pool[from]));
    }
  }
  std::array<uint64_t, 4> out{};
  hash = kInitB;
  for (size_t i = 0; i < 8; ++i) {
    uint32_t word = pool[i % 4] ^ hash;
    hash *= kMulB;
    word *= hash;
    word ^= word >> 16;
    out[i / 2] |= uint64_t{word} << (i % 2 * 32);
  }
  return out;
}

constexpr unsigned __int128 kPcgMultiplier =
    (static_cast<unsigned __int128>(0x2360ED051FC65DA4ULL) << 64) | 0x4385DF649FCCF645ULL;

}  // namespace

Mt19937::Mt19937(uint32_t seed) {
  state_[0] = seed;
  for (uint32_t i = 1; i < kWords; ++i)
    state_[i] = 1812433253U * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
}

Mt19937::Mt19937(std::span<const uint32_t> key) : Mt19937(19650218U) {
  AKIN_CHECK(!key.empty());
  uint32_t i = 1;
  size_t j = 0;
  const auto advance = [&] {
    if (++i < kWords) return;
    state_[0] = state_[kWords - 1];
    i = 1;
  };
  for (size_t n = std::max(kWords, key.size()); n > 0; --n) {
    state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1664525U)) + key[j] +
                static_cast<uint32_t>(j);
    advance();
    j = (j + 1) % key.size();
  }
  for (size_t n = kWords - 1; n > 0; --n) {
    state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1566083941U)) - i;
    advance();
  }
  state_[0] = 0x80000000U;
}

void Mt19937::refill() {
  constexpr size_t kShift = 397;
  const auto twist = [this](size_t k, size_t next, size_t other) {
    const uint32_t y = (state_[k] & 0x80000000U) | (state_[next] & 0x7FFFFFFFU);
    state_[k] = state_[other] ^ (y >> 1) ^ ((y & 1) * 0x9908B0DFU);
  };
  for (size_t k = 0; k < kWords - kShift; ++k) twist(k, k + 1, k + kShift);
  for (size_t k = kWords - kShift; k + 1 < kWords; ++k) twist(k, k + 1, k + kShift - kWords);
  twist(kWords - 1, 0, kShift - 1);
  next_ = 0;
}

size_t NumpyRandom::interval(size_t max) { return masked_interval(core_, max); }

void NumpyRandom::randint(size_t n, std::span<size_t> out) {
  const uint64_t max = n - 1, mask = mask_of(max);
  if (max == 0 || max > kMax32) {
    for (auto& value : out) value = randint(n);
    return;
  }
  // Every word is written, and stays when it is in range: whether it is nobody can predict.
  for (size_t count = 0; count < out.size();) {
    const uint64_t value = core_.u32() & mask;
    out[count] = value;
    count += value <= max ? 1 : 0;
  }
}

std::vector<size_t> NumpyRandom::randint(size_t n, size_t count) {
  std::vector<size_t> values(count);
  randint(n, values);
  return values;
}

std::vector<size_t> NumpyRandom::permutation(size_t n) { return shuffled_range(*this, n); }

std::vector<size_t> NumpyRandom::choice(size_t n, size_t count) {
  AKIN_CHECK(count <= n);
  auto values = permutation(n);
  values.resize(count);
  return values;
}

size_t NumpyRandom::choice(std::span<const double> cdf) {
  const double u = uniform();
  const auto at = std::upper_bound(cdf.begin(), cdf.end(), u) - cdf.begin();
  return std::min(static_cast<size_t>(at), cdf.size() - 1);
}

PythonRandom::PythonRandom(uint64_t seed) : core_(std::span<const uint32_t>(seed_words(seed))) {}

size_t PythonRandom::below(size_t n) {
  const auto bits = static_cast<uint32_t>(std::bit_width(n));
  while (true) {
    uint64_t value = 0;
    if (bits <= 32) {
      value = bits == 0 ? 0 : core_.u32() >> (32 - bits);
    } else {
      value = core_.u32();  // low word first
      value |= static_cast<uint64_t>(core_.u32() >> (64 - bits)) << 32;
    }
    if (value < n) return value;
  }
}

std::vector<size_t> PythonRandom::sample(size_t n, size_t count) {
  AKIN_CHECK(count <= n);
  std::vector<size_t> out;
  out.reserve(count);
  size_t set_size = 21;  // above it a set of what was drawn is smaller than a copy of the range
  if (count > 5) {
    const double power = std::ceil(std::log(static_cast<double>(count * 3)) / std::log(4.0));
    set_size += size_t{1} << (2 * static_cast<size_t>(power));
  }
  if (n <= set_size) {
    auto pool = iota(n);
    for (size_t i = 0; i < count; ++i) {
      const size_t j = below(n - i);
      out.push_back(pool[j]);
      pool[j] = pool[n - i - 1];
    }
    return out;
  }
  std::unordered_set<size_t> seen;
  while (out.size() < count) {
    const size_t j = below(n);
    if (seen.insert(j).second) out.push_back(j);
  }
  return out;
}

std::vector<size_t> PythonRandom::choices(size_t n, size_t count) {
  std::vector<size_t> values(count);
  for (auto& value : values)
    value = static_cast<size_t>(std::floor(core_.real() * static_cast<double>(n)));
  return values;
}

Pcg64::Pcg64(uint64_t seed) {
  const auto words = seed_sequence(seed);
  using Wide = unsigned __int128;
  increment_ = (static_cast<Wide>(words[2]) << 64 | words[3]) << 1 | 1;
  state_ = increment_;  // one step from zero
  state_ += static_cast<Wide>(words[0]) << 64 | words[1];
  state_ = state_ * kPcgMultiplier + increment_;
}

uint64_t Pcg64::u64() {
  state_ = state_ * kPcgMultiplier + increment_;
  const auto high = static_cast<uint64_t>(state_ >> 64), low = static_cast<uint64_t>(state_);
  return std::rotr(high ^ low, static_cast<int>(state_ >> 122));
}

uint32_t Pcg64::u32() {
  if (buffered_) {
    const uint32_t value = *buffered_;
    buffered_.reset();
    return value;
  }
  const uint64_t value = u64();
  buffered_ = static_cast<uint32_t>(value >> 32);
  return static_cast<uint32_t>(value);
}

size_t Pcg64::interval(size_t max) { return masked_interval(*this, max); }

size_t Pcg64::bounded(size_t max) {
  if (max == 0) return 0;
  if (max == kMax32) return u32();
  if (max < kMax32) {
    const uint32_t range = static_cast<uint32_t>(max) + 1;
    uint64_t product = uint64_t{u32()} * range;
    if (static_cast<uint32_t>(product) < range) {
      const uint32_t threshold = (kMax32 - static_cast<uint32_t>(max)) % range;
      while (static_cast<uint32_t>(product) < threshold) product = uint64_t{u32()} * range;
    }
    return product >> 32;
  }
  if (max == ~uint64_t{0}) return u64();
  const uint64_t range = max + 1, threshold = (~uint64_t{0} - max) % range;
  auto product = static_cast<unsigned __int128>(u64()) * range;
  while (static_cast<uint64_t>(product) < threshold)
    product = static_cast<unsigned __int128>(u64()) * range;
  return static_cast<size_t>(product >> 64);
}

std::vector<size_t> Pcg64::permutation(size_t n) { return shuffled_range(*this, n); }

std::vector<size_t> Pcg64::choice(size_t n, size_t count) {
  AKIN_CHECK(count <= n);
  constexpr size_t kLarge = 10000, kCutoff = 50;
  if (n > kLarge && count > n / kCutoff) {  // shuffle the tail alone
    auto values = iota(n);
    for (size_t i = n - 1; i >= std::max<size_t>(n - count, 1); --i)
      std::swap(values[i], values[bounded(i)]);
    values.erase(values.begin(), values.end() - static_cast<std::ptrdiff_t>(count));
    return values;
  }
  std::unordered_set<size_t> seen;  // Floyd's sampling, then a shuffle
  std::vector<size_t> out;
  out.reserve(count);
  for (size_t j = n - count; j < n; ++j) {
    size_t value = bounded(j);
    if (!seen.insert(value).second) {
      value = j;
      seen.insert(j);
    }
    out.push_back(value);
  }
  for (size_t i = count; i-- > 1;) std::swap(out[i], out[bounded(i)]);
  return out;
}

}  // namespace akin::eval
