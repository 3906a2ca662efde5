// UTF-8: decoding text known to be valid, encoding, and repairing text that is not. No properties
// of characters here (unicode.h). Follows Unicode 3.9, table 3-7 and "substitution of maximal
// subparts".
#pragma once

#include <cstdint>
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
