// A text cut into words, terms and sentences that know where they lie in it: for those who cut and
// change texts. Not fold.h's words, which are for comparing only. Input is valid UTF-8.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace akin::data {

struct PlacedWord {
  uint32_t begin = 0, end = 0;  // bytes of the text
  uint64_t key = 0;             // of the folded word: equal for equal words
  bool dense = false;           // an ideograph or kana, which is a word of its own
  bool capital = false;         // begins with a capital letter
};
// The same words as split_words() of fold.h.
std::vector<PlacedWord> placed_words(std::string_view text);

// What carries meaning: a word, or two neighbouring ideographs; one that stands alone is its own.
struct PlacedTerm {
  uint32_t begin = 0, end = 0;
  uint64_t key = 0;
};
std::vector<PlacedTerm> placed_terms(std::string_view text, std::span<const PlacedWord> words);

struct Place {
  uint32_t begin = 0, end = 0;
};
// Sentences with what ends them, without the white space between. A full stop behind an initial or
// a short abbreviation ends none.
std::vector<Place> sentences(std::string_view text);

// Whether most words are ideographs or kana.
bool is_dense(std::span<const PlacedWord> words);

}  // namespace akin::data
