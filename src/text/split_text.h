// A normalized text cut into pieces, and the cutting. Not the pre-tokenizers that decide where
// (pre_tokenizer.h). Follows PreTokenizedString of Hugging Face tokenizers.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/normalized_text.h"

namespace akin::text {

// Bytes [begin, end) of SplitText::text.text; an added token when id >= 0, and then done.
struct Piece {
  uint32_t begin = 0, end = 0;
  int32_t id = -1;
  Span source;            // of added tokens only
  bool at_start = false;  // the piece may begin at byte 0 of the original text
};

struct SplitText {
  NormalizedText text;
  std::vector<Piece> pieces;

  std::string_view view(const Piece& piece) const {
    return std::string_view(text.text).substr(piece.begin, piece.end - piece.begin);
  }
  // True for the one piece whose first character begins the original text.
  bool begins_original(const Piece& piece) const {
    return piece.at_start && (!text.tracking || text.span_at(piece.begin).begin == 0);
  }
};

// What becomes of the matches when a piece is cut at them.
enum class SplitBehavior : uint8_t {
  removed,
  isolated,
  merged_with_previous,
  merged_with_next,
  contiguous
};
SplitBehavior split_behavior(const JsonValue& json);  // Errors: bad_format

// A stretch of one piece, matched or between matches; together they cover the piece.
struct Stretch {
  uint32_t begin, end;  // relative to the piece
  bool matched;
};

// Appends what is left of `piece` after cutting it. `stretches` is changed.
void cut_piece(const Piece& piece, std::vector<Stretch>& stretches, SplitBehavior behavior,
               std::vector<Piece>& out);

// Replaces every open piece by what find(view, stretches) cuts it into.
template <typename Find>
void cut_pieces(SplitText& split, SplitBehavior behavior, Find&& find) {
  static thread_local std::vector<Piece> out;
  static thread_local std::vector<Stretch> stretches;
  out.clear();
  for (const Piece& piece : split.pieces) {
    if (piece.id >= 0) {
      out.push_back(piece);
      continue;
    }
    stretches.clear();
    find(split.view(piece), stretches);
    cut_piece(piece, stretches, behavior, out);
  }
  std::swap(split.pieces, out);
  if (out.capacity() > 1U << 16) out = {};
  if (stretches.capacity() > 1U << 16) stretches = {};
}

// For find: every character of a class is a match of its own.
template <typename IsMatch>
void match_characters(std::string_view piece, std::vector<Stretch>& stretches, IsMatch&& is_match) {
  const char* const base = piece.data();
  const char* const end = base + piece.size();
  uint32_t open = 0;
  for (const char* p = base; p < end;) {
    const auto at = static_cast<uint32_t>(p - base);
    if (!is_match(next_code_point(p))) continue;
    if (open < at) stretches.push_back({open, at, false});
    open = static_cast<uint32_t>(p - base);
    stretches.push_back({at, open, true});
  }
  if (open < piece.size()) stretches.push_back({open, static_cast<uint32_t>(piece.size()), false});
}

}  // namespace akin::text
