// Text as comparisons see it: folded (case as Unicode folds it, NFKC, white space runs to one
// space) and as words. Not the normalise filter, which changes what is kept. Input is valid UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace akin::data {

// Appends the folded text: full case folding and compatibility composition (full-width letters are
// letters, a letter and its accent one character), each run of Unicode white space one space,
// none at either end.
void append_folded(std::string_view text, std::string& out);

// Appends a hash for each word: a run of letters, digits and marks in lower case; an ideograph or
// kana is a word of its own. Punctuation and white space only separate.
void append_word_hashes(std::string_view text, std::vector<uint64_t>& out);

// The words of a text as pieces of `folded`, which is folded text: divided at what is neither
// letter, digit nor mark; an ideograph or kana is a word of its own.
void split_words(std::string_view folded, std::vector<std::string_view>& out);

}  // namespace akin::data
