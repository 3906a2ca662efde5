// Printing of answers, where the time goes when vectors are long: floats as the shortest decimals
// that read back to the same bits, base64 of little-endian f32, and the small integer forms.
// Bodies are built by appending to a string; nothing here knows a dialect.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace akin::serve {

// The forms in which APIs hand out a vector.
enum class VectorForm : uint8_t { floats, base64, int8, uint8, binary, ubinary };

// "..." with escapes. Text from a parsed body is UTF-8; other bytes that are not become U+FFFD.
void append_json(std::string& out, std::string_view text);
void append_float(std::string& out, float value);  // null when not finite
void append_uint(std::string& out, uint64_t value);

// One vector in one form. Shapes: x [E].
//   floats   [0.1,-2]
//   base64   "...": little-endian f32
//   int8     round(127 x), clamped to [-127, 127]: of unit vectors, as akin embed writes them
//   uint8    int8 + 128
//   ubinary  bits x > 0, eight a byte, first one highest, the last byte filled with zeros
//   binary   ubinary - 128, as sentence-transformers writes it
void append_vector(std::string& out, std::span<const float> x, VectorForm form);
// Bytes that append_vector needs at most, for reserve().
size_t vector_bytes(size_t dim, VectorForm form);

void append_base64(std::string& out, std::span<const unsigned char> bytes);

}  // namespace akin::serve
