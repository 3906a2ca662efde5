// Vectors on disk, found again by model, prompt and text. Not an index: nothing is searched here.
// A folder of append-only segments, one for each process that added something; every block carries
// checksums, so a killed process or a torn write costs the last block and nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/mat.h"

namespace akin::eval {

struct EmbeddingKey {
  uint64_t low = 0, high = 0;
  bool operator==(const EmbeddingKey&) const = default;
};

// Of a text under a prompt and an adapter; the model is the folder's name.
class EmbeddingKeys {
 public:
  EmbeddingKeys(std::string_view prompt, std::string_view adapter);
  EmbeddingKey key(std::string_view text) const;

 private:
  uint64_t seed_low_, seed_high_;
};

// Not thread-safe; several processes may use one folder at once (each sees what was complete when
// it opened it). Memory: about 48 bytes a vector.
class EmbeddingCache {
 public:
  // Opens or makes `<root>/<fingerprint>/`. Segments of another dim or format, and what follows a
  // damaged block, are left out and counted. Errors: io.
  EmbeddingCache(const std::filesystem::path& root, const std::string& fingerprint, size_t dim);
  ~EmbeddingCache();
  EmbeddingCache(const EmbeddingCache&) = delete;
  EmbeddingCache& operator=(const EmbeddingCache&) = delete;

  size_t dim() const;
  size_t size() const;              // vectors
  uint64_t damaged_blocks() const;  // left out

  // Copies the vector to out [dim]; false when it is not there or its block is damaged.
  bool find(const EmbeddingKey& key, float* out);
  // Appends one block; keys that are there already are written again, and stay as they were.
  // Errors: io (disk full), naming the file.
  void add(std::span<const EmbeddingKey> keys, MatView<const float> vectors);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace akin::eval
