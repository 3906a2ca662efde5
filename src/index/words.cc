#include "index/words.h"

#include <utf8proc.h>

#include <algorithm>
#include <unordered_set>

namespace akin::index {
namespace {

constexpr struct {
  int32_t first, last;
} kDense[] = {
    {0x0E00, 0x0EFF},    // Thai, Lao
    {0x1000, 0x109F},    // Myanmar
    {0x1100, 0x11FF},    // Hangul Jamo
    {0x1780, 0x17FF},    // Khmer
    {0x2E80, 0x2FDF},    // radicals
    {0x3005, 0x3007},    // iteration mark, zero
    {0x3031, 0x30FF},    // kana
    {0x3105, 0x31FF},    // Bopomofo, compatibility Jamo, small kana
    {0x3400, 0x4DBF},    // Han
    {0x4E00, 0x9FFF},    //
    {0xAC00, 0xD7AF},    // Hangul
    {0xF900, 0xFAFF},    // compatibility ideographs
    {0xFF66, 0xFFDC},    // half-width kana and Jamo
    {0x1AFF0, 0x1B16F},  // more kana
    {0x20000, 0x323AF},  // Han
};

bool is_dense(int32_t c) {
  if (c < kDense[0].first) return false;
  return std::any_of(std::begin(kDense), std::end(kDense),
                     [c](const auto& range) { return c >= range.first && c <= range.last; });
}

bool is_part(int32_t c) {
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return true;
    default:
      return false;
  }
}

bool is_accent(int32_t c) { return c >= 0x300 && c <= 0x36F; }

void append(int32_t c, std::string& out) {
  utf8proc_uint8_t bytes[4];
  const auto n = utf8proc_encode_char(c, bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
}

constexpr auto kFold = static_cast<utf8proc_option_t>(UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE |
                                                      UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);

// The folded form of a letter, digit or mark of a script with spaces.
void fold(int32_t c, std::string& out) {
  if (c < 0x80) {
    out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return;
  }
  utf8proc_int32_t parts[32];
  int boundary = 0;
  const auto n = utf8proc_decompose_char(c, parts, 32, kFold, &boundary);
  for (utf8proc_ssize_t i = 0; i < std::min<utf8proc_ssize_t>(n, 32); ++i) {
    if (!is_accent(parts[i])) append(parts[i], out);
  }
}

// Half-width kana and compatibility ideographs as their plain form; the rest as it is.
void fold_dense(int32_t c, std::string& out) {
  utf8proc_int32_t parts[8];
  int boundary = 0;
  const bool compatible = c >= 0xF900 || (c >= 0x2E80 && c < 0x3000);
  const auto n =
      compatible
          ? utf8proc_decompose_char(
                c, parts, 8, static_cast<utf8proc_option_t>(UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE),
                &boundary)
          : 0;
  append(n == 1 ? parts[0] : c, out);
}

}  // namespace

WordSplitter::Character WordSplitter::peek(size_t at) const {
  Character out;
  out.begin = static_cast<uint32_t>(at);
  if (at >= text_.size()) {
    out.code = -1;
    out.end = out.begin;
    return out;
  }
  const auto lead = static_cast<unsigned char>(text_[at]);
  if (lead < 0x80) {
    out.code = lead;
    out.end = out.begin + 1;
    out.part = (lead >= '0' && lead <= '9') || (lead >= 'a' && lead <= 'z') ||
               (lead >= 'A' && lead <= 'Z');
    return out;
  }
  utf8proc_int32_t code = 0;
  const auto n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text_.data()) + at,
                                  static_cast<utf8proc_ssize_t>(text_.size() - at), &code);
  if (n <= 0) {
    out.code = 0xFFFD;
    out.end = out.begin + 1;
    return out;
  }
  out.code = code;
  out.end = out.begin + static_cast<uint32_t>(n);
  out.part = is_part(code);
  out.dense = out.part && is_dense(code);
  return out;
}

void WordSplitter::dense_word(Word& word) {
  const Character here = peek(at_), next = peek(here.end);
  word.begin = here.begin;
  if (side_ == WordSide::document && !pair_next_) {  // first the character itself
    fold_dense(here.code, word.text);
    word.end = here.end;
    if (next.dense) {
      pair_next_ = true;
    } else {
      at_ = here.end;
    }
    return;
  }
  fold_dense(here.code, word.text);
  if (next.dense) fold_dense(next.code, word.text);
  word.end = next.dense ? next.end : here.end;
  pair_next_ = false;
  at_ = here.end;
  if (side_ == WordSide::query && next.dense && !peek(next.end).dense) at_ = next.end;
}

void WordSplitter::spaced_word(const Character& first, Word& word) {
  word.begin = first.begin;
  bool full = false;
  for (Character c = first; c.part && !c.dense; c = peek(at_)) {
    const size_t before = word.text.size();
    if (!full) fold(c.code, word.text);
    if (word.text.size() > kMaxWordBytes) {
      word.text.resize(before);
      full = true;
    }
    at_ = word.end = c.end;
  }
}

bool WordSplitter::next(Word& word) {
  while (true) {
    word.text.clear();
    const Character c = peek(at_);
    if (c.code < 0) return false;
    if (c.dense) {
      dense_word(word);
      return true;
    }
    if (!c.part) {
      at_ = c.end;
      continue;
    }
    spaced_word(c, word);
    if (!word.text.empty()) return true;  // accents alone are no word
  }
}

std::vector<std::string> query_words(std::string_view text) {
  std::vector<std::string> out;
  std::unordered_set<std::string> seen;
  WordSplitter splitter(text, WordSide::query);
  for (Word word; splitter.next(word);) {
    if (seen.insert(word.text).second) out.push_back(word.text);
  }
  return out;
}

uint32_t count_words(std::string_view text) {
  WordSplitter splitter(text, WordSide::document);
  uint32_t count = 0;
  for (Word word; splitter.next(word);) ++count;
  return count;
}

}  // namespace akin::index
