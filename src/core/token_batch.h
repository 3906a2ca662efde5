// Packed token ids: texts back to back, no padding. Shapes: B texts, T tokens in all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace akin {

struct TokenBatch {
  std::vector<int32_t> ids;          // [T]
  std::vector<uint32_t> offsets{0};  // [B + 1]; text b is ids[offsets[b], offsets[b + 1])
  std::vector<uint32_t>
      prompt_tokens;  // [B]: leading tokens left out of pooling (include_prompt = false), else 0
  // Entries of the batch that each text became, where long ones are read in pieces; empty: one
  // each.
  std::vector<uint32_t> pieces;
  std::vector<int32_t> adapters;  // [B]: adapter number per text, -1 = none; empty = none for all

  size_t size() const { return offsets.size() - 1; }
  size_t tokens() const { return ids.size(); }
  std::span<const int32_t> text(size_t b) const {
    return std::span(ids).subspan(offsets[b], offsets[b + 1] - offsets[b]);
  }
};

}  // namespace akin
