// See fold.h. ASCII and the common ideographs take short ways round the Unicode tables.
#include "data/fold.h"

#include "base/hash.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace akin::data {
namespace {

constexpr char lower_ascii(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
constexpr bool ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
constexpr bool ascii_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Ideographs of the basic plane: no case, no white space, a word each.
constexpr bool common_ideograph(char32_t c) { return c >= 0x3400 && c <= 0x9FFF; }

enum class Class : uint8_t { separator, letter, alone };

Class class_of(char32_t c) {
  if (common_ideograph(c)) return Class::alone;
  if (c >= 0x3041 && c <= 0x30FF && c != 0x30FB) return Class::alone;  // kana
  if (text::is_cjk_ideograph(c)) return Class::alone;
  return text::is_word_character(c) ? Class::letter : Class::separator;
}

}  // namespace

void append_folded(std::string_view text, std::string& out) {
  const size_t begin = out.size();
  bool space = false;
  const auto gap = [&] {
    if (space && out.size() > begin) out += ' ';
    space = false;
  };
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p < end) {
    if (static_cast<unsigned char>(*p) < 0x80) {
      if (ascii_space(*p)) {
        space = true;
      } else {
        if (space) gap();
        out += lower_ascii(*p);
      }
      ++p;
      continue;
    }
    const char* const at = p;
    const char32_t c = text::next_code_point(p);
    if (common_ideograph(c)) {
      gap();
      out.append(at, static_cast<size_t>(p - at));
    } else if (text::is_white_space(c)) {
      space = true;
    } else {
      gap();
      char32_t lower[3];
      const uint32_t count = text::to_lower(c, lower);
      for (uint32_t i = 0; i < count; ++i) text::append_utf8(lower[i], out);
    }
  }
}

void split_words(std::string_view folded, std::vector<std::string_view>& out) {
  const char* p = folded.data();
  const char* const end = p + folded.size();
  const char* word = nullptr;
  const auto finish = [&](const char* at) {
    if (word != nullptr) out.emplace_back(word, static_cast<size_t>(at - word));
    word = nullptr;
  };
  while (p < end) {
    const char* const at = p;
    Class kind;
    if (static_cast<unsigned char>(*p) < 0x80) {
      kind = ascii_word(*p) ? Class::letter : Class::separator;
      ++p;
    } else {
      kind = class_of(text::next_code_point(p));
    }
    if (kind == Class::letter) {
      if (word == nullptr) word = at;
      continue;
    }
    finish(at);
    if (kind == Class::alone) out.emplace_back(at, static_cast<size_t>(p - at));
  }
  finish(end);
}

void append_word_hashes(std::string_view text, std::vector<uint64_t>& out) {
  thread_local std::string folded;
  thread_local std::vector<std::string_view> words;
  folded.clear();
  words.clear();
  append_folded(text, folded);
  split_words(folded, words);
  for (const auto word : words) out.push_back(hash64(word));
}

}  // namespace akin::data
