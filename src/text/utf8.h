// UTF-8: decoding text known to be valid, encoding, and repairing text that is not. No properties
// of characters here (unicode.h). Follows Unicode 3.9, table 3-7 and "substitution of maximal
// subparts".
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace akin::text {

// Bytes [begin, end) of the original text.
struct Span {
  uint32_t begin = 0, end = 0;
  bool operator==(const Span&) const = default;
};

// The code point at p, p moved behind it. The text must be valid.
inline char32_t next_code_point(const char*& p) {
  const auto b = [&](int i) { return static_cast<uint8_t>(p[i]); };
  const uint8_t lead = b(0);
  if (lead < 0x80) {
    p += 1;
    return lead;
  }
  if (lead < 0xE0) {
    const char32_t c = char32_t{lead & 0x1FU} << 6 | (b(1) & 0x3F);
    p += 2;
    return c;
  }
  if (lead < 0xF0) {
    const char32_t c = char32_t{lead & 0x0FU} << 12 | char32_t{b(1) & 0x3FU} << 6 | (b(2) & 0x3F);
    p += 3;
    return c;
  }
  const char32_t c = char32_t{lead & 0x07U} << 18 | char32_t{b(1) & 0x3FU} << 12 |
                     char32_t{b(2) & 0x3FU} << 6 | (b(3) & 0x3F);
  p += 4;
  return c;
}

// The code point that ends right before `end` (a valid text, end > its begin).
inline char32_t last_code_point(const char* end) {
  const char* p = end - 1;
  while ((static_cast<uint8_t>(*p) & 0xC0) == 0x80) --p;
  return next_code_point(p);
}

struct Character {
  uint32_t codepoint;
  size_t bytes;
};

// The character at `pos` of valid UTF-8 that may end within it: then it is read as far as it goes.
inline Character character_at(std::string_view text, size_t pos) {
  const auto* p = reinterpret_cast<const uint8_t*>(text.data()) + pos;
  const uint32_t a = p[0];
  const size_t left = text.size() - pos;
  if (a < 0x80) return {a, 1};
  uint8_t padded[4] = {};
  if (left < 4) {
    std::memcpy(padded, p, left);
    p = padded;
  }
  const uint32_t b = p[1] & 0x3Fu, c = p[2] & 0x3Fu, d = p[3] & 0x3Fu;
  if (a < 0xE0) return {(a & 0x1F) << 6 | b, std::min<size_t>(2, left)};
  if (a < 0xF0) return {(a & 0xF) << 12 | b << 6 | c, std::min<size_t>(3, left)};
  return {(a & 7) << 18 | b << 12 | c << 6 | d, std::min<size_t>(4, left)};
}

inline uint32_t utf8_length(char32_t c) {
  return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

// Writes c (at most 4 bytes), returns how many. c must be a scalar value.
uint32_t encode_utf8(char32_t c, char* out);
void append_utf8(char32_t c, std::string& out);
size_t count_code_points(std::string_view text);

bool is_valid_utf8(std::string_view text);

// Appends `text` with U+FFFD for every maximal invalid subpart; returns how many there were. With
// `spans`, also appends for each appended byte the bytes of its character in `text`.
size_t repair_utf8(std::string_view text, std::string& out, std::vector<Span>* spans = nullptr);

}  // namespace akin::text
