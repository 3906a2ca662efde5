#include "serve/dialects/print.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "text/utf8.h"

namespace akin::serve {
namespace {

static_assert(std::endian::native == std::endian::little, "base64 vectors are little-endian");

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Two characters for each 12 bits.
constexpr std::array<std::array<char, 2>, 4096> make_pairs() {
  std::array<std::array<char, 2>, 4096> pairs{};
  for (size_t i = 0; i < pairs.size(); ++i) pairs[i] = {kAlphabet[i >> 6], kAlphabet[i & 63]};
  return pairs;
}
constexpr auto kPairs = make_pairs();

constexpr size_t kFloatChars = 24;  // "-1.17549435e-38," and whatever is longer

// Writes at `to`, returns the end.
char* write_float(char* to, float value) {
  if (!std::isfinite(value)) return std::copy_n("null", 4, to);
  return fmt::format_to(to, FMT_COMPILE("{}"), value);
}

int quantize(float value) {
  return static_cast<int>(std::lrint(std::clamp(value * 127.0F, -127.0F, 127.0F)));
}

void append_bytes(std::string& out, std::span<const float> x, bool is_signed) {
  out += '[';
  for (size_t i = 0; i < x.size(); ++i) {
    if (i > 0) out += ',';
    const int value = std::isfinite(x[i]) ? quantize(x[i]) : 0;
    fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}"), is_signed ? value : value + 128);
  }
  out += ']';
}

void append_bits(std::string& out, std::span<const float> x, bool is_signed) {
  out += '[';
  for (size_t begin = 0; begin < x.size(); begin += 8) {
    int byte = 0;
    for (size_t i = 0; i < 8 && begin + i < x.size(); ++i) {
      byte |= static_cast<int>(x[begin + i] > 0) << (7 - i);
    }
    if (begin > 0) out += ',';
    fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}"), is_signed ? byte - 128 : byte);
  }
  out += ']';
}

void append_floats(std::string& out, std::span<const float> x) {
  const size_t old = out.size();
  out.resize(old + x.size() * kFloatChars + 2);
  char* to = out.data() + old;
  *to++ = '[';
  for (size_t i = 0; i < x.size(); ++i) {
    if (i > 0) *to++ = ',';
    to = write_float(to, x[i]);
  }
  *to++ = ']';
  out.resize(static_cast<size_t>(to - out.data()));
}

}  // namespace

void append_json(std::string& out, std::string_view text) {
  if (!text::is_valid_utf8(text)) {
    std::string repaired;
    text::repair_utf8(text, repaired);
    return append_json(out, repaired);
  }
  out += '"';
  size_t plain = 0;  // begin of what needs no escape
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    }
  }
  out.append(text, plain);
  out += '"';
}

void append_float(std::string& out, float value) {
  char buffer[kFloatChars];
  out.append(buffer, write_float(buffer, value));
}

void append_uint(std::string& out, uint64_t value) {
  fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}"), value);
}

void append_base64(std::string& out, std::span<const unsigned char> bytes) {
  const size_t old = out.size();
  out.resize(old + (bytes.size() + 2) / 3 * 4);
  char* to = out.data() + old;
  size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const uint32_t bits = static_cast<uint32_t>(bytes[i]) << 16 |
                          static_cast<uint32_t>(bytes[i + 1]) << 8 | bytes[i + 2];
    to = std::copy_n(kPairs[bits >> 12].data(), 2, to);
    to = std::copy_n(kPairs[bits & 4095].data(), 2, to);
  }
  if (i == bytes.size()) return;
  uint32_t bits = static_cast<uint32_t>(bytes[i]) << 16;
  const bool two = i + 1 < bytes.size();
  if (two) bits |= static_cast<uint32_t>(bytes[i + 1]) << 8;
  *to++ = kAlphabet[bits >> 18];
  *to++ = kAlphabet[bits >> 12 & 63];
  *to++ = two ? kAlphabet[bits >> 6 & 63] : '=';
  *to = '=';
}

void append_vector(std::string& out, std::span<const float> x, VectorForm form) {
  switch (form) {
    case VectorForm::floats:
      return append_floats(out, x);
    case VectorForm::base64:
      out += '"';
      append_base64(out, {reinterpret_cast<const unsigned char*>(x.data()), x.size_bytes()});
      out += '"';
      return;
    case VectorForm::int8:
    case VectorForm::uint8:
      return append_bytes(out, x, form == VectorForm::int8);
    case VectorForm::binary:
    case VectorForm::ubinary:
      return append_bits(out, x, form == VectorForm::binary);
  }
}

size_t vector_bytes(size_t dim, VectorForm form) {
  switch (form) {
    case VectorForm::floats:
      return dim * kFloatChars + 2;
    case VectorForm::base64:
      return (dim * 4 + 2) / 3 * 4 + 2;
    case VectorForm::int8:
    case VectorForm::uint8:
      return dim * 5 + 2;
    default:
      return (dim + 7) / 8 * 5 + 2;
  }
}

}  // namespace akin::serve
