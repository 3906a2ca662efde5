// Base64 (RFC 4648, section 4), decoding only: tokenizer.json carries its character map in it.
#pragma once

#include <string>
#include <string_view>

namespace akin::text {

// Errors: bad_format (a character outside the alphabet, a lone last character).
std::string decode_base64(std::string_view text, std::string_view where);

}  // namespace akin::text
