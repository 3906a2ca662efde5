// A text on its way through the pipeline: its current bytes and, when offsets are wanted, where
// each byte came from. Not split yet (split_text.h). Follows NormalizedString of Hugging Face
// tokenizers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/utf8.h"

namespace akin::text {

// Steps that each make a text a little longer can be chained without end in a hostile
// tokenizer.json. Real ones at most triple a text.
inline size_t most_normalized_bytes(size_t bytes) {
  return std::min((size_t{16} << 20) + 256 * bytes, size_t{UINT32_MAX});  // pieces have 32 bits
}
inline void check_growth(size_t bytes, size_t most) {
  if (bytes <= most) return;
  throw_error(ErrorKind::bad_format, "tokenizer.json",
              "its normalizer or pre-tokenizer makes {} bytes of one text, expected at most {}; no "
              "sound tokenizer does, download it again",
              bytes, most);
}

struct NormalizedText {
  std::string text;         // valid UTF-8
  std::vector<Span> spans;  // per byte of text: bytes of the original; empty unless tracking
  bool tracking = false;
  size_t limit = 0;  // bytes that it may grow to; 0: not yet known, see most_bytes()

  void clear() {
    text.clear();
    spans.clear();
    limit = 0;
  }
  // Of the text as it is when the first step asks.
  size_t most_bytes() {
    if (limit == 0) limit = most_normalized_bytes(text.size());
    return limit;
  }
  // A step's result, in exchange for what it was made from. Errors: bad_format, when it has grown
  // too much.
  void become(NormalizedText& result) {
    check_growth(result.text.size(), most_bytes());
    std::swap(text, result.text);
    std::swap(spans, result.spans);
  }
  void append(char32_t c, Span span) {
    const size_t before = text.size();
    append_utf8(c, text);
    if (tracking) spans.insert(spans.end(), text.size() - before, span);
  }
  void append(std::string_view bytes, Span span) {
    text.append(bytes);
    if (tracking) spans.insert(spans.end(), bytes.size(), span);
  }
  // Bytes [begin, end) of another text that tracks like this one.
  void append_from(const NormalizedText& other, size_t begin, size_t end) {
    text.append(other.text, begin, end - begin);
    if (tracking) {
      spans.insert(spans.end(), other.spans.begin() + static_cast<ptrdiff_t>(begin),
                   other.spans.begin() + static_cast<ptrdiff_t>(end));
    }
  }
  Span span_at(size_t i) const { return tracking ? spans[i] : Span{}; }
  // Where [begin, end) of this text came from. {0, 0} when not tracking or empty.
  Span source(size_t begin, size_t end) const {
    if (!tracking || begin >= end) return {};
    return {spans[begin].begin, std::max(spans[begin].begin, spans[end - 1].end)};
  }
};

inline bool is_ascii(std::string_view text) {
  uint8_t all = 0;
  for (const char c : text) all |= static_cast<uint8_t>(c);
  return all < 0x80;
}

// Scratch space that each thread keeps between texts, given back when a text was very long.
template <typename Tag>
NormalizedText& thread_scratch(bool tracking) {
  constexpr size_t kKeepBytes = size_t{1} << 20;
  static thread_local NormalizedText scratch;
  if (scratch.text.capacity() > kKeepBytes || scratch.spans.capacity() > kKeepBytes) {
    scratch = {};
  }
  scratch.clear();
  scratch.tracking = tracking;
  return scratch;
}

// Rebuilds the text from f(out, code point, span) called for each character in order.
template <typename F>
void rewrite_characters(NormalizedText& text, F&& f) {
  struct Tag;
  NormalizedText& out = thread_scratch<Tag>(text.tracking);
  out.text.reserve(text.text.size() + 16);
  const char* const base = text.text.data();
  const char* const end = base + text.text.size();
  for (const char* p = base; p < end;) {
    const Span span = text.span_at(static_cast<size_t>(p - base));
    const char32_t c = next_code_point(p);
    f(out, c, span);
  }
  text.become(out);
}

}  // namespace akin::text
