// See fold.h. Case as Unicode folds it. ASCII and the common ideographs take short ways round the
// Unicode tables.
#include "data/fold.h"

#include <utf8proc.h>

#include <array>

#include "base/hash.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace akin::data {
namespace {

// ASCII: white space is a space, capitals are small.
constexpr std::array<char, 128> folded_table() {
  std::array<char, 128> out{};
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(i);
  for (size_t c = 'A'; c <= 'Z'; ++c) out[c] = static_cast<char>(c - 'A' + 'a');
  for (size_t c = '\t'; c <= '\r'; ++c) out[c] = ' ';
  return out;
}
constexpr std::array<char, 128> kFolded = folded_table();

constexpr bool ascii_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Ideographs of the basic plane: no case, no white space, a word each.
constexpr bool common_ideograph(char32_t c) { return c >= 0x3400 && c <= 0x9FFF; }

constexpr size_t kMostFolded = 4;

// Full case folding of Unicode: one form for a sharp s and for SS, which lower case
// does not give.
size_t fold_case(char32_t c, char32_t* out) {
  utf8proc_int32_t folded[kMostFolded];
  int boundary = 0;
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), folded, kMostFolded,
                                             UTF8PROC_CASEFOLD, &boundary);
  if (count < 0 || count > static_cast<utf8proc_ssize_t>(kMostFolded)) {
    out[0] = c;
    return 1;
  }
  for (utf8proc_ssize_t i = 0; i < count; ++i) out[i] = static_cast<char32_t>(folded[i]);
  return static_cast<size_t>(count);
}

enum class Class : uint8_t { separator, letter, alone };

Class class_of(char32_t c) {
  if (common_ideograph(c)) return Class::alone;
  if (c >= 0x3041 && c <= 0x30FF && c != 0x30FB) return Class::alone;  // kana
  if (text::is_cjk_ideograph(c)) return Class::alone;
  return text::is_word_character(c) ? Class::letter : Class::separator;
}

}  // namespace

// Every byte is written and counts unless it is a space behind a space: no branch for each word.
void append_folded(std::string_view text, std::string& out) {
  constexpr size_t kMostGrowth = 16;  // four characters of four bytes for one
  const size_t begin = out.size();
  out.resize(begin + text.size() + kMostGrowth);
  char* bytes = out.data();  // a local: stores of char may alias anything else
  size_t at = begin;
  char last = ' ';
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p < end) {
    if (static_cast<unsigned char>(*p) < 0x80) {
      const char c = kFolded[static_cast<unsigned char>(*p++)];
      bytes[at] = c;
      at += static_cast<size_t>(c != ' ' || last != ' ');
      last = c;
      continue;
    }
    const size_t needed = at + static_cast<size_t>(end - p) + kMostGrowth;
    if (needed > out.size()) {
      out.resize(needed + needed / 4);
      bytes = out.data();
    }
    const char32_t c = text::next_code_point(p);
    if (common_ideograph(c)) {
      at += text::encode_utf8(c, bytes + at);
      last = 0;
    } else if (text::is_white_space(c)) {
      bytes[at] = ' ';
      at += static_cast<size_t>(last != ' ');
      last = ' ';
    } else {
      char32_t folded[kMostFolded];
      const size_t count = fold_case(c, folded);
      for (size_t i = 0; i < count; ++i) at += text::encode_utf8(folded[i], bytes + at);
      last = 0;
    }
  }
  if (at > begin && last == ' ') --at;
  out.resize(at);
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
