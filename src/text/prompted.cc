// See prompted.h.
#include "text/prompted.h"

#include <algorithm>

#include "text/unicode.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

void append_lower_case(std::string_view valid, std::string& out) {
  const char* p = valid.data();
  const char* const end = p + valid.size();
  char32_t lowered[3];
  while (p < end) {
    const uint32_t count = to_lower(next_code_point(p), lowered);
    for (uint32_t i = 0; i < count; ++i) append_utf8(lowered[i], out);
  }
}

}  // namespace

size_t encode_prompted(const Tokenizer& tokenizer, std::string_view prompt, std::string_view text,
                       bool lower_case, bool add_special_tokens, std::vector<int32_t>& ids,
                       size_t* replaced) {
  if (prompt.empty() && !lower_case) {
    return tokenizer.encode(text, add_special_tokens, ids, replaced);
  }
  thread_local std::string joined, valid;
  joined.assign(prompt);
  joined += text;
  if (lower_case) {
    valid.clear();
    const size_t repaired = repair_utf8(joined, valid);
    if (replaced != nullptr) *replaced += repaired;
    joined.clear();
    append_lower_case(valid, joined);
  }
  return tokenizer.encode(joined, add_special_tokens, ids, replaced);
}

uint32_t count_prompt_tokens(const Tokenizer& tokenizer, std::string_view prompt, bool lower_case,
                             bool add_special_tokens) {
  if (prompt.empty()) return 0;
  std::vector<int32_t> ids;
  encode_prompted(tokenizer, {}, prompt, lower_case, add_special_tokens, ids);
  return static_cast<uint32_t>(ids.size() - std::min(ids.size(), tokenizer.suffix_ids().size()));
}

}  // namespace akin::text
