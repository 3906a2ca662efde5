// What happens to a text on its way to a tokenizer, the same in use and in training: a prompt goes
// in front, and models that say do_lower_case get lower case. No limit here (truncate.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace akin::text {

// Appends the ids of prompt + text; returns how many. *replaced grows by what was not UTF-8.
size_t encode_prompted(const Tokenizer& tokenizer, std::string_view prompt, std::string_view text,
                       bool lower_case, bool add_special_tokens, std::vector<int32_t>& ids,
                       size_t* replaced = nullptr);

// Tokens in front that a pooling with include_prompt = false leaves out: the prefix ([CLS]) and the
// prompt's own; 0 without a prompt.
uint32_t count_prompt_tokens(const Tokenizer& tokenizer, std::string_view prompt, bool lower_case,
                             bool add_special_tokens);

}  // namespace akin::text
