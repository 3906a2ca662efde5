#include "cli/snippet.h"

#include <algorithm>

#include "cli/terminal.h"

namespace akin::cli {
namespace {

std::string lower_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

// Where to begin showing a long text: a little before the first word of the query, at a character's
// first byte.
size_t snippet_begin(std::string_view text, std::string_view query, size_t columns) {
  if (text.size() <= columns) return 0;
  const std::string low = lower_ascii(text), words = lower_ascii(query);
  size_t best = std::string::npos;
  for (size_t at = 0; at < words.size();) {
    const size_t end = std::min(words.find(' ', at), words.size());
    if (end - at >= 4)
      best = std::min(best, low.find(std::string_view(words).substr(at, end - at)));
    at = end + 1;
  }
  if (best == std::string::npos || best < columns * 3 / 4) return 0;
  size_t begin = text.rfind(' ', best - std::min(best, columns / 4));
  if (begin == std::string_view::npos) begin = best;
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) ++begin;
  return begin;
}

}  // namespace

std::string snippet(std::string_view text, std::string_view query, size_t columns) {
  const size_t begin = snippet_begin(text, query, columns);
  return begin == 0 ? clip(text, columns)
                    : "…" + clip(text.substr(begin), columns > 1 ? columns - 1 : 1);
}

}  // namespace akin::cli
