#include "text/utf8.h"

#include <simdjson.h>  // validate_utf8

#include "base/utf8_sequence.h"

namespace akin::text {
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
