// Where UTF-8 is well-formed: one sequence at a time (Unicode, table 3-7). Decoding and repair are
// text/utf8.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace akin {

// Length of the well-formed sequence at p, of which `left` bytes (1 or more) may be read, or 0;
// then *subpart is the length of the maximal subpart.
inline size_t sequence_length(const uint8_t* p, size_t left, size_t* subpart) {
  const uint8_t lead = p[0];
  *subpart = 1;
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte has a narrower range after some leads: overlong forms, surrogates, > U+10FFFF.
  const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (size_t i = 1; i < length; ++i) {
    if (i >= left) return 0;
    if (i == 1 ? p[i] < low || p[i] > high : (p[i] & 0xC0) != 0x80) return 0;
    *subpart = i + 1;
  }
  return length;
}

}  // namespace akin
