#include "base/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <new>

namespace akin {

uint64_t hash64(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

struct Hasher::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() {
    if (xxh == nullptr) throw std::bad_alloc();
    XXH3_128bits_reset(xxh);
  }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;

void Hasher::add(uint64_t value) { XXH3_128bits_update(state_->xxh, &value, sizeof value); }

void Hasher::add(std::string_view bytes) {
  add(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

void Hasher::add(std::span<const std::byte> bytes) {
  add(static_cast<uint64_t>(bytes.size()));
  XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size());
}

std::string Hasher::hex() const {
  const XXH128_hash_t digest = XXH3_128bits_digest(state_->xxh);
  return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
}

}  // namespace akin
