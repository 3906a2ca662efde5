// See fold.h. Case as Unicode folds it, forms as NFKC. ASCII, its full-width forms, and the common
// ideographs and their punctuation take short ways round the Unicode tables.
#include "data/fold.h"

#include <utf8proc.h>

#include <array>
#include <utility>

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

// What else is most frequent in Chinese and has neither case nor another form: 、。「」 and quotes.
constexpr bool common_mark(char32_t c) {
  return (c >= 0x3001 && c <= 0x301B) || (c >= 0x2018 && c <= 0x201D);
}

// Full-width ASCII.
constexpr bool full_width(char32_t c) { return c >= 0xFF01 && c <= 0xFF5E; }

using Run = std::vector<utf8proc_int32_t>;
constexpr size_t kMostFolded = 32;  // of one character; the longest known is 18

// Full case folding of Unicode, which has one form for a sharp s and for SS, and compatibility
// decomposition.
void append_decomposed(char32_t c, Run& run) {
  utf8proc_int32_t folded[kMostFolded];
  int boundary = 0;
  const auto count = utf8proc_decompose_char(
      static_cast<utf8proc_int32_t>(c), folded, kMostFolded,
      static_cast<utf8proc_option_t>(UTF8PROC_CASEFOLD | UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE),
      &boundary);
  if (count < 0 || count > static_cast<utf8proc_ssize_t>(kMostFolded)) {
    run.push_back(static_cast<utf8proc_int32_t>(c));
  } else {
    run.insert(run.end(), folded, folded + count);
  }
}

int mark_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

// Marks in their canonical order, then what has a composed form composed.
void compose(Run& run) {
  for (size_t i = 1; i < run.size(); ++i) {
    const int own = mark_class(run[i]);
    if (own == 0) continue;
    for (size_t k = i; k > 0 && mark_class(run[k - 1]) > own; --k) std::swap(run[k - 1], run[k]);
  }
  const auto count =
      utf8proc_normalize_utf32(run.data(), static_cast<utf8proc_ssize_t>(run.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (count > 0) run.resize(static_cast<size_t>(count));
}

struct Written {
  size_t at;
  char last;
};

// Writes the run that begins at p behind out[.., at), moves p behind it. A mark belongs to the
// character before, even where that was written already.
Written write_run(const char*& p, const char* end, std::string& out, size_t begin, Written state) {
  thread_local Run run;
  run.clear();
  while (p < end && static_cast<unsigned char>(*p) >= 0x80) {
    const char* next = p;
    const char32_t c = text::next_code_point(next);
    if (common_ideograph(c) || common_mark(c) || full_width(c) || text::is_white_space(c)) break;
    append_decomposed(c, run);
    p = next;
  }
  size_t at = state.at;
  if (!run.empty() && at > begin && state.last != ' ' && mark_class(run[0]) != 0) {
    run.insert(run.begin(), static_cast<utf8proc_int32_t>(text::last_code_point(out.data() + at)));
    do --at;
    while ((static_cast<unsigned char>(out[at]) & 0xC0) == 0x80);
  }
  compose(run);
  const size_t needed = at + static_cast<size_t>(end - p) + 4 * run.size() + 16;
  if (needed > out.size()) out.resize(needed + needed / 4);
  char last = state.last;
  for (const auto c : run) {
    if (text::is_white_space(static_cast<char32_t>(c))) {  // in a form such as a free accent's
      out[at] = ' ';
      at += static_cast<size_t>(last != ' ');
      last = ' ';
    } else {
      at += text::encode_utf8(static_cast<char32_t>(c), out.data() + at);
      last = 0;
    }
  }
  return {at, last};
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
  constexpr size_t kSpare = 16;
  const size_t begin = out.size();
  out.resize(begin + text.size() + kSpare);
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
    const char* next = p;
    const char32_t c = text::next_code_point(next);
    if (common_ideograph(c) || common_mark(c)) {
      at += text::encode_utf8(c, bytes + at);
      last = 0;
    } else if (full_width(c)) {
      bytes[at++] = kFolded[c - 0xFEE0];
      last = 0;
    } else if (text::is_white_space(c)) {
      bytes[at] = ' ';
      at += static_cast<size_t>(last != ' ');
      last = ' ';
    } else {
      const Written state = write_run(p, end, out, begin, {at, last});
      at = state.at;
      last = state.last;
      bytes = out.data();
      continue;
    }
    p = next;
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
