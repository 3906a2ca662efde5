// tokenizer.json from outside: any bytes either make a tokenizer that works or an akin::Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  try {
    const auto tokenizer = akin::text::Tokenizer::from_json(json, "fuzz");
    const std::string_view text = "Hello [CLS] w\u00F6rld\u4E2D\u56FD <s>a  b\u2581c 12!\xFF";
    std::vector<int32_t> ids;
    tokenizer->encode(text, true, ids);
    const auto encoding = tokenizer->encode_with_offsets(text, true);
    if (encoding.ids != ids) __builtin_trap();
    for (size_t i = 0; i < ids.size(); ++i) {
      if (encoding.begin[i] > encoding.end[i] || encoding.end[i] > text.size()) __builtin_trap();
      if (static_cast<size_t>(ids[i]) >= tokenizer->vocab_size()) __builtin_trap();
    }
    tokenizer->decode(ids, false);
  } catch (const akin::Error& error) {
    if (error.kind() == akin::ErrorKind::internal) throw;
  }
  return 0;
}
