#include "text/base64.h"

#include <array>
#include <cstdint>

#include "base/error.h"

namespace akin::text {
namespace {

constexpr std::array<int8_t, 256> make_values() {
  std::array<int8_t, 256> values{};
  values.fill(-1);
  for (size_t i = 0; i < 26; ++i) {
    values['A' + i] = static_cast<int8_t>(i);
    values['a' + i] = static_cast<int8_t>(26 + i);
  }
  for (size_t i = 0; i < 10; ++i) values['0' + i] = static_cast<int8_t>(52 + i);
  values['+'] = 62;
  values['/'] = 63;
  return values;
}
constexpr auto kValues = make_values();

}  // namespace

std::string decode_base64(std::string_view text, std::string_view where) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  out.reserve(text.size() / 4 * 3 + 3);
  uint32_t bits = 0;
  int count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const int8_t value = kValues[static_cast<uint8_t>(text[i])];
    if (value < 0) {
      throw_error(ErrorKind::bad_format, where, "not base64: byte {} at {}",
                  quote(text.substr(i, 1)), i);
    }
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count & 0xFF));
    }
  }
  if (text.size() % 4 == 1) {
    throw_error(ErrorKind::bad_format, where, "not base64: {} characters, cut short", text.size());
  }
  return out;
}

}  // namespace akin::text
