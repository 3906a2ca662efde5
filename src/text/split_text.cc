#include "text/split_text.h"

#include <algorithm>

#include "base/error.h"

namespace akin::text {
namespace {

// A match joins the unmatched stretch before it, unless a match is there.
void merge_with_previous(std::vector<Stretch>& stretches) {
  size_t kept = 0;
  bool previous = false;
  for (size_t i = 0; i < stretches.size(); ++i) {
    const Stretch s = stretches[i];
    if (s.matched && !previous && kept > 0) {
      stretches[kept - 1].end = s.end;
    } else {
      stretches[kept++] = s;
    }
    previous = s.matched;
  }
  stretches.resize(kept);
}

void merge_with_next(std::vector<Stretch>& stretches) {
  const auto mirror = [&] {
    std::reverse(stretches.begin(), stretches.end());
    for (Stretch& s : stretches) std::swap(s.begin, s.end);
  };
  mirror();
  merge_with_previous(stretches);
  mirror();
}

// Neighbours of one kind become one stretch.
void merge_alike(std::vector<Stretch>& stretches) {
  size_t kept = 0;
  for (size_t i = 0; i < stretches.size(); ++i) {
    const Stretch s = stretches[i];
    if (kept > 0 && stretches[kept - 1].matched == s.matched) {
      stretches[kept - 1].end = s.end;
    } else {
      stretches[kept++] = s;
    }
  }
  stretches.resize(kept);
}

}  // namespace

SplitBehavior split_behavior(const JsonValue& json) {
  const std::string_view name = json.as_string();
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  throw_error(ErrorKind::bad_format, json.where(),
              "unknown behavior {}; Removed, Isolated, MergedWithPrevious, MergedWithNext and "
              "Contiguous are known",
              quote(name));
}

void cut_piece(const Piece& piece, std::vector<Stretch>& stretches, SplitBehavior behavior,
               std::vector<Piece>& out) {
  switch (behavior) {
    case SplitBehavior::merged_with_previous:
      merge_with_previous(stretches);
      break;
    case SplitBehavior::merged_with_next:
      merge_with_next(stretches);
      break;
    case SplitBehavior::contiguous:
      merge_alike(stretches);
      break;
    case SplitBehavior::removed:
    case SplitBehavior::isolated:
      break;
  }
  for (const Stretch& s : stretches) {
    if (s.begin == s.end || (s.matched && behavior == SplitBehavior::removed)) continue;
    Piece part = piece;
    part.begin = piece.begin + s.begin;
    part.end = piece.begin + s.end;
    part.at_start = piece.at_start && s.begin == 0;
    out.push_back(part);
  }
}

}  // namespace akin::text
