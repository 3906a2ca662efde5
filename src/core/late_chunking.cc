#include "core/late_chunking.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace akin {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// Does a sentence or a line end between these two bytes of the text? What ends one is followed by
// white space in scripts that use it, which some tokenizers count among the bytes of a word.
bool sentence_ends(std::string_view text, size_t begin, size_t end) {
  while (end < text.size() && is_space(text[end])) ++end;
  while (begin > 0 && is_space(text[begin - 1])) --begin;
  const std::string_view gap = text.substr(0, end).substr(std::min(begin, end));
  if (gap.find('\n') != std::string_view::npos) return true;
  const std::string_view before = text.substr(0, begin);
  for (const std::string_view mark : {"\xE3\x80\x82", "\xEF\xBC\x81", "\xEF\xBC\x9F"}) {
    if (before.ends_with(mark)) return true;  // ideographic full stop, full-width ! and ?
  }
  return !gap.empty() && !before.empty() &&
         std::string_view(".!?").find(before.back()) != std::string_view::npos;
}

bool is_special(const TokenVectors& tokens, size_t t) { return tokens.begin[t] >= tokens.end[t]; }

// Behind which token the chunk [first, full) ends.
size_t chunk_end(std::string_view text, const TokenVectors& tokens,
                 const std::vector<size_t>& places, size_t first, size_t full) {
  if (full == places.size()) return full;
  for (size_t end = full; end >= first + (full - first + 1) / 2 && end > first; --end) {
    if (sentence_ends(text, tokens.end[places[end - 1]], tokens.begin[places[end]])) return end;
  }
  return full;
}

}  // namespace

std::vector<TextChunk> chunk_tokens(std::string_view text, const TokenVectors& tokens,
                                    size_t most) {
  if (most == 0) throw_error(ErrorKind::usage, "chunk tokens", "a chunk has at least 1 token");
  std::vector<size_t> places;
  for (size_t t = 0; t < tokens.ids.size(); ++t) {
    if (!is_special(tokens, t) && tokens.end[t] <= text.size()) places.push_back(t);
  }
  std::vector<TextChunk> out;
  for (size_t first = 0; first < places.size();) {
    size_t end = chunk_end(text, tokens, places, first, std::min(places.size(), first + most));
    // Tokens of one character's bytes belong together.
    while (end < places.size() && tokens.begin[places[end]] < tokens.end[places[end - 1]]) ++end;
    TextChunk chunk{tokens.begin[places[first]], tokens.end[places[end - 1]], places[first],
                    places[end - 1] + 1};
    while (chunk.begin < chunk.end && is_space(text[chunk.begin])) ++chunk.begin;
    while (chunk.begin < chunk.end && is_space(text[chunk.end - 1])) --chunk.end;
    out.push_back(chunk);
    first = end;
  }
  return out;
}

void pool_chunks(const TokenVectors& tokens, std::span<const TextChunk> chunks, bool normalize,
                 MatView<float> out) {
  AKIN_CHECK(out.rows() == chunks.size() && out.cols() <= tokens.vectors.cols());
  std::vector<double> sum(out.cols());
  for (size_t c = 0; c < chunks.size(); ++c) {
    std::fill(sum.begin(), sum.end(), 0.0);
    size_t count = 0;
    for (size_t t = chunks[c].token_begin; t < chunks[c].token_end; ++t) {
      if (is_special(tokens, t)) continue;
      for (size_t d = 0; d < sum.size(); ++d) sum[d] += static_cast<double>(tokens.vectors(t, d));
      ++count;
    }
    double factor = 1.0 / static_cast<double>(std::max<size_t>(count, 1));
    if (normalize) {
      double squares = 0;
      for (const double v : sum) squares += v * v;
      factor = 1.0 / std::max(std::sqrt(squares), 1e-12);
    }
    for (size_t d = 0; d < sum.size(); ++d) out(c, d) = static_cast<float>(sum[d] * factor);
  }
}

}  // namespace akin
