// The kinds of characters that a trained piece never mixes: numbers, signs, and one kind for each
// script. Not the Unicode script property: blocks stand for the scripts that have no other. Follows
// the idea of split_by_unicode_script and split_by_number of sentencepiece.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace akin::text {

// Equal values: the characters may stand in one piece. kSign is everything that is neither letter
// nor number; a combining mark is of the kind of what it follows.
using CharacterKind = uint32_t;
inline constexpr CharacterKind kSign = 0, kNumber = 1, kHan = 2, kKana = 3;
CharacterKind character_kind(char32_t c, CharacterKind previous);

// The mark of a word's start, U+2581.
inline constexpr std::string_view kWordMark = "\xE2\x96\x81";

// Appends the parts of a word, each of one kind and at most max_characters long; a mark at the
// front goes with the part behind it. `word` is valid UTF-8; the parts borrow it.
void split_by_kind(std::string_view word, size_t max_characters,
                   std::vector<std::string_view>& parts);

}  // namespace akin::text
