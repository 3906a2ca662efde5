#include "text/utf8.h"

#include <simdjson.h>  // validate_utf8

namespace akin::text {
namespace {

// Length of the well-formed sequence at p, or 0; then *subpart is the length of the maximal
// subpart.
size_t sequence_length(const uint8_t* p, size_t left, size_t* subpart) {
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

}  // namespace

uint32_t encode_utf8(char32_t c, char* out) {
  const auto put = [&](int i, char32_t byte) { out[i] = static_cast<char>(byte); };
  if (c < 0x80) {
    put(0, c);
    return 1;
  }
  if (c < 0x800) {
    put(0, 0xC0 | c >> 6);
    put(1, 0x80 | (c & 0x3F));
    return 2;
  }
  if (c < 0x10000) {
    put(0, 0xE0 | c >> 12);
    put(1, 0x80 | (c >> 6 & 0x3F));
    put(2, 0x80 | (c & 0x3F));
    return 3;
  }
  put(0, 0xF0 | c >> 18);
  put(1, 0x80 | (c >> 12 & 0x3F));
  put(2, 0x80 | (c >> 6 & 0x3F));
  put(3, 0x80 | (c & 0x3F));
  return 4;
}

void append_utf8(char32_t c, std::string& out) {
  char bytes[4];
  out.append(bytes, encode_utf8(c, bytes));
}

size_t count_code_points(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<uint8_t>(c) & 0xC0) != 0x80;
  return count;
}

bool is_valid_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

size_t repair_utf8(std::string_view text, std::string& out, std::vector<Span>* spans) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  size_t replaced = 0;
  for (size_t i = 0; i < text.size();) {
    size_t subpart = 0;
    const size_t length = sequence_length(bytes + i, text.size() - i, &subpart);
    const size_t from = length != 0 ? length : subpart;
    const size_t to = length != 0 ? length : 3;
    if (length != 0) {
      out.append(text, i, length);
    } else {
      out.append("\xEF\xBF\xBD");
      ++replaced;
    }
    if (spans != nullptr) {
      spans->insert(spans->end(), to, {static_cast<uint32_t>(i), static_cast<uint32_t>(i + from)});
    }
    i += from;
  }
  return replaced;
}

}  // namespace akin::text
