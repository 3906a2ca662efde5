// The word pattern of GPT-2 as a scanner: one look at each character, no regular expressions.
// Categories come from utf8proc, ASCII from a table.
#include "text/byte_level.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "text/unicode.h"

namespace akin::text {
namespace {

enum class Kind : uint8_t { space, letter, number, other };

constexpr uint32_t kPrintable = 0x100;  // code points from here stand for the other bytes

// The code point for each byte: itself when it prints and is not a space, else the next free one.
struct Tables {
  std::array<uint16_t, 256> codepoint{};
  std::array<int16_t, 0x180> byte{};  // of a code point, -1: none
  std::array<char, 512> utf8{};
  std::array<uint8_t, 256> size{};

  constexpr Tables() {
    for (int16_t& b : byte) b = -1;
    uint32_t next = kPrintable;
    for (uint32_t b = 0; b < 256; ++b) {
      const bool prints = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      const uint32_t c = prints ? b : next++;
      codepoint[b] = static_cast<uint16_t>(c);
      byte[c] = static_cast<int16_t>(b);
      size[b] = c < 0x80 ? 1 : 2;
      utf8[2 * b] = static_cast<char>(c < 0x80 ? c : 0xC0 | c >> 6);
      utf8[2 * b + 1] = static_cast<char>(c < 0x80 ? 0 : 0x80 | (c & 0x3F));
    }
  }
};
constexpr Tables kTables;

constexpr Kind ascii_kind(uint32_t c) {
  if (c == ' ' || (c >= 9 && c <= 13)) return Kind::space;
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return Kind::letter;
  return c >= '0' && c <= '9' ? Kind::number : Kind::other;
}

struct Character {
  Kind kind;
  size_t bytes;
};

Character character_at(std::string_view text, size_t pos) {
  const auto a = static_cast<uint8_t>(text[pos]);
  if (a < 0x80) return {ascii_kind(a), 1};
  const size_t wanted = a < 0xE0 ? 2 : a < 0xF0 ? 3 : 4;
  const size_t bytes = std::min(wanted, text.size() - pos);
  uint32_t c = wanted == 2 ? a & 0x1Fu : wanted == 3 ? a & 0xFu : a & 7u;
  for (size_t i = 1; i < bytes; ++i) c = c << 6 | (static_cast<uint8_t>(text[pos + i]) & 0x3Fu);
  if (is_white_space(char32_t{c})) return {Kind::space, bytes};
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return {Kind::letter, bytes};
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return {Kind::number, bytes};
    default:
      return {Kind::other, bytes};
  }
}

size_t run_end(std::string_view text, size_t pos, Kind kind) {
  while (pos < text.size()) {
    const Character character = character_at(text, pos);
    if (character.kind != kind) break;
    pos += character.bytes;
  }
  return pos;
}

// Bytes of 's 't 're 've 'm 'll 'd at pos, or 0.
size_t contraction_bytes(std::string_view text, size_t pos) {
  const auto at = [&](size_t i) { return pos + i < text.size() ? text[pos + i] : '\0'; };
  if (at(0) != '\'') return 0;
  const char a = at(1), b = at(2);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  return (b == 'e' && (a == 'r' || a == 'v')) || (a == 'l' && b == 'l') ? 3 : 0;
}

}  // namespace

std::string_view byte_level_character(uint8_t byte) {
  return {kTables.utf8.data() + size_t{2} * byte, kTables.size[byte]};
}

void byte_level_encode(std::string_view bytes, std::string& out,
                       std::vector<uint32_t>* source_offsets) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    const std::string_view character = byte_level_character(static_cast<uint8_t>(bytes[i]));
    out += character;
    if (source_offsets) {
      source_offsets->insert(source_offsets->end(), character.size(), static_cast<uint32_t>(i));
    }
  }
}

void byte_level_decode(std::string_view token, std::string& out) {
  const size_t before = out.size();
  for (size_t pos = 0; pos < token.size();) {
    const auto a = static_cast<uint8_t>(token[pos]);
    uint32_t c = a;
    size_t bytes = 1;
    if (a >= 0xC0 && a < 0xE0 && pos + 1 < token.size()) {
      c = (a & 0x1Fu) << 6 | (static_cast<uint8_t>(token[pos + 1]) & 0x3Fu);
      bytes = 2;
    } else if (a >= 0x80) {
      c = kTables.byte.size();  // outside the table
    }
    if (c >= kTables.byte.size() || kTables.byte[c] < 0) {
      out.resize(before);
      out += token;
      return;
    }
    out += static_cast<char>(kTables.byte[c]);
    pos += bytes;
  }
}

size_t byte_level_next(std::string_view text, size_t pos) {
  if (const size_t bytes = contraction_bytes(text, pos); bytes != 0) return pos + bytes;
  const Character first = character_at(text, pos);
  if (first.kind != Kind::space) return run_end(text, pos + first.bytes, first.kind);
  const size_t second_at = pos + first.bytes;
  if (text[pos] == ' ' && second_at < text.size()) {
    const Character second = character_at(text, second_at);
    if (second.kind != Kind::space) return run_end(text, second_at + second.bytes, second.kind);
  }
  // A run of white space leaves its last character to the word that follows it.
  size_t end = second_at, last = pos;
  while (end < text.size()) {
    const Character character = character_at(text, end);
    if (character.kind != Kind::space) return last > pos ? last : end;
    last = end;
    end += character.bytes;
  }
  return end;
}

}  // namespace akin::text
