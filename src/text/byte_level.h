// Byte-level pre-tokenization of GPT-2 and RoBERTa: the word pattern and the byte <-> character
// tables. Not the merges (bpe.h). Follows Hugging Face tokenizers (pre_tokenizers/byte_level).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace akin::text {

// The character that stands for a byte, as UTF-8 of one or two bytes ("Ġ" for a space).
std::string_view byte_level_character(uint8_t byte);

// Appends the characters for `bytes`. With source_offsets, also appends for each appended byte the
// offset in `bytes` it came from.
void byte_level_encode(std::string_view bytes, std::string& out,
                       std::vector<uint32_t>* source_offsets = nullptr);

// Appends the bytes that a token's characters stand for; a token with a character outside the
// table is appended as it is. The result need not be UTF-8 before all tokens are joined.
void byte_level_decode(std::string_view token, std::string& out);

// The end of the first match at `pos` (pos < text.size(), text is valid UTF-8) of
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// Matches follow each other without gaps, so repeating it cuts the whole text.
size_t byte_level_next(std::string_view text, size_t pos);

}  // namespace akin::text
