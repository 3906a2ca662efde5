// API keys: which ones there are, whether a request carries one. Bearer tokens only.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace akin::serve {

class ApiKeys {
 public:
  // No keys: everybody may ask. Errors: usage, an empty key.
  explicit ApiKeys(const std::vector<std::string>& keys);
  bool needed() const { return !digests_.empty(); }
  // The value of an Authorization header. The time it takes says nothing about how much of a key
  // was right.
  bool allows(std::string_view authorization) const;

 private:
  using Digest = std::array<uint8_t, 32>;
  static Digest digest(std::string_view key);
  std::vector<Digest> digests_;
};

// Keys of a file: one a line; empty lines and those that begin with # are left out. Errors: io,
// not_found; usage, a file without keys.
std::vector<std::string> read_key_file(const std::string& path);

}  // namespace akin::serve
