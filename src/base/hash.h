// Non-cryptographic hashing (xxHash XXH3-128) for fingerprints and caches. Not for checksums of
// downloads (store/hub_fetch).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace akin {

uint64_t hash64(std::string_view bytes, uint64_t seed = 0);

// Streaming XXH3-128; each add() also mixes in the length, so add("ab") + add("c") differs from
// add("a") + add("bc").
class Hasher {
 public:
  Hasher();
  ~Hasher();
  void add(std::string_view bytes);
  void add(std::span<const std::byte> bytes);
  void add(uint64_t value);
  std::string hex() const;  // 32 lower-case hex digits

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace akin
