// libFuzzer: any bytes as a filter over metadata, and as metadata: an error of usage or an answer.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "index/filter.h"
#include "index/words.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace akin::index;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t cut = bytes.find('\0');  // the filter, then the metadata
  const auto metadata = cut == std::string_view::npos ? std::string_view() : bytes.substr(cut + 1);
  try {
    const Filter filter(bytes.substr(0, cut));
    Filter::Matcher matches(filter);
    matches("id", metadata);
    matches("id", R"({"a":{"b":[1,"x",null]},"tags":["a"],"n":2.5})");
  } catch (const akin::Error& error) {
    if (error.kind() != akin::ErrorKind::usage) throw;
  }
  for (const WordSide side : {WordSide::document, WordSide::query}) {
    WordSplitter splitter(bytes, side);
    for (Word word; splitter.next(word);) {
      if (word.text.empty() || word.end > size || word.begin >= word.end) __builtin_trap();
    }
  }
  return 0;
}
