// Properties of characters as Hugging Face tokenizers sees them: its libraries carry tables of
// Unicode 8 (categories), 11 (normalization) and 15+ (white space, case, regex), and models were
// trained with them, so a newer table would change ids. Not UTF-8 itself (utf8.h). Built on
// utf8proc (Unicode 15) and the differences listed in unicode.cc.
#pragma once

#include <cstdint>

namespace akin::text {

bool is_white_space(char32_t c);      // White_Space
bool is_other(char32_t c);            // Cc, Cf, Co
bool is_punctuation(char32_t c);      // ASCII punctuation and symbols, P*
bool is_nonspacing_mark(char32_t c);  // Mn
bool is_combining_mark(char32_t c);   // M*
bool is_numeric(char32_t c);          // N*
bool is_word_character(char32_t c);   // \w of a Unicode-aware regex
bool is_letter(char32_t c);           // \p{L}
bool is_cjk_ideograph(char32_t c);    // the blocks that BERT puts spaces around
// Unified ideographs of the two large blocks: no form, case or class of Unicode touches them.
inline bool is_plain_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF);
}

inline bool is_ascii_punctuation(char32_t c) {
  return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
         (c >= 123 && c <= 126);
}

// The lower case of one character without context; out has room for 3. Returns how many.
uint32_t to_lower(char32_t c, char32_t* out);

// The full decomposition, not reordered; out has room for kMaxDecomposition. Returns how many.
inline constexpr uint32_t kMaxDecomposition = 18;
uint32_t decompose(char32_t c, bool compatible, char32_t* out);
uint8_t combining_class(char32_t c);
// The primary composite of a pair, 0 when there is none.
char32_t compose_pair(char32_t first, char32_t second);

}  // namespace akin::text
