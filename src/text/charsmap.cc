// Applies the double array of a precompiled character map, checking every step against its bounds,
// so that a hostile map can give wrong text but no bad access. Text that maps to itself is copied
// in runs; clusters come from utf8proc (Unicode 15; the rules of newer versions only join clusters
// of 6 bytes and more, which are looked up character by character either way).
#include "text/charsmap.h"

#include <simdjson.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

constexpr size_t kClusterLimit = 6;  // bytes; shorter clusters are looked up as a whole

// One unit of the double array.
bool has_leaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t leaf_value(uint32_t unit) { return unit & 0x7FFFFFFF; }
uint32_t label(uint32_t unit) { return unit & (0x80000000 | 0xFF); }
size_t offset(uint32_t unit) { return size_t{unit >> 10} << ((unit & 0x200) >> 6); }

// All eight bytes in [0x20, 0x7E].
bool is_printable_ascii(uint64_t bytes) {
  constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x8080808080808080;
  const uint64_t below = bytes - 0x20 * kOnes, above = bytes + kOnes;
  return ((bytes | below | above) & kHigh) == 0;
}

// Characters that begin a cluster after any of their kind, and end it before any of their kind.
bool joins_nothing(uint32_t codepoint) {
  const auto boundary = utf8proc_get_property(static_cast<utf8proc_int32_t>(codepoint))->boundclass;
  return boundary == UTF8PROC_BOUNDCLASS_OTHER ||
         boundary == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC ||
         boundary == UTF8PROC_BOUNDCLASS_LV || boundary == UTF8PROC_BOUNDCLASS_LVT;
}

}  // namespace

struct PrecompiledCharsmap::Sink {
  static constexpr size_t kLongestReplacement = 256;  // Unicode's own need at most 33
  std::string& out;
  std::vector<uint32_t>* offsets;

  void copy(std::string_view in, size_t begin, size_t end) {
    out.append(in, begin, end - begin);
    if (!offsets) return;
    for (size_t pos = begin; pos < end;) {
      const size_t bytes = std::min(character_at(in, pos).bytes, end - pos);
      offsets->insert(offsets->end(), bytes, static_cast<uint32_t>(pos));
      pos += bytes;
    }
  }
  void replace(std::string_view with, size_t source) {
    if (with.size() > kLongestReplacement) {
      throw_error(
          ErrorKind::bad_format, "precompiled_charsmap",
          "replaces a character by {} bytes, expected at most {}; the tokenizer is damaged, "
          "download it again",
          with.size(), kLongestReplacement);
    }
    out += with;
    if (offsets) offsets->insert(offsets->end(), with.size(), static_cast<uint32_t>(source));
  }
};

PrecompiledCharsmap PrecompiledCharsmap::from_bytes(std::string_view blob,
                                                    const std::string& where) {
  PrecompiledCharsmap map;
  if (!blob.empty()) map.load(blob, where);
  map.find_plain_characters();
  return map;
}

void PrecompiledCharsmap::load(std::string_view blob, const std::string& where) {
  const auto fail = [&](std::string_view what) {
    throw_error(ErrorKind::bad_format, where, "the precompiled character map {}; download it again",
                what);
  };
  if (blob.size() < 4) fail("is shorter than its header");
  uint32_t trie_bytes = 0;
  for (size_t i = 0; i < 4; ++i) {
    trie_bytes |= uint32_t{static_cast<uint8_t>(blob[i])} << 8 * i;  // little endian
  }
  if (trie_bytes > blob.size() - 4 || trie_bytes % 4 != 0 || trie_bytes == 0) {
    fail("has a trie size that does not fit its bytes");
  }
  trie_.resize(trie_bytes / 4);
  for (size_t i = 0; i < trie_bytes; ++i) {
    trie_[i / 4] |= uint32_t{static_cast<uint8_t>(blob[4 + i])} << 8 * (i % 4);
  }
  replacements_ = blob.substr(4 + trie_bytes);
  if (!simdjson::validate_utf8(replacements_.data(), replacements_.size())) {
    fail("has replacements that are not UTF-8");
  }
  replacements_ += '\0';
}

void PrecompiledCharsmap::find_plain_characters() {
  plain_.assign(0x10000 / 64, 0);
  solo_.assign(0x10000 / 64, 0);
  direct_.assign(0x10000, 0);
  for (uint32_t codepoint = 0; codepoint < 0x10000; ++codepoint) {
    if (codepoint >= 0xD800 && codepoint < 0xE000) continue;
    if (!joins_nothing(codepoint)) continue;
    solo_[codepoint >> 6] |= uint64_t{1} << (codepoint & 63);
    utf8proc_uint8_t bytes[4];
    const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(codepoint), bytes);
    const std::string_view text(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
    const Match match = find(text, /*longest=*/false);
    if (match.length != 0) {
      direct_[codepoint] = match.value + 1;
    } else {
      plain_[codepoint >> 6] |= uint64_t{1} << (codepoint & 63);
    }
  }
  plain_ascii_ = true;
  for (uint32_t c = 0x20; c <= 0x7E; ++c) plain_ascii_ = plain_ascii_ && is_plain_character(c);
}

PrecompiledCharsmap::Match PrecompiledCharsmap::find(std::string_view text, bool longest) const {
  Match match;
  if (trie_.empty()) return match;
  size_t node = offset(trie_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    node ^= byte;
    if (byte == 0 || node >= trie_.size() || label(trie_[node]) != byte) break;
    const uint32_t unit = trie_[node];
    node ^= offset(unit);
    if (!has_leaf(unit)) continue;
    if (node >= trie_.size()) break;
    const uint32_t value = leaf_value(trie_[node]);
    // A replacement that starts nowhere, or inside a character, is none.
    if (value >= replacements_.size() || (replacements_[value] & 0xC0) == 0x80) continue;
    match = {static_cast<uint32_t>(i + 1), value};
    if (!longest) break;
  }
  return match;
}

std::string_view PrecompiledCharsmap::replacement(uint32_t value) const {
  return replacements_.c_str() + value;  // load() ends the replacements with a NUL
}

// The end of the longest run of plain characters at pos.
size_t PrecompiledCharsmap::plain_run(std::string_view in, size_t pos) const {
  while (pos < in.size()) {
    if (static_cast<uint8_t>(in[pos]) < 0x80) {
      if (plain_ascii_ && in.size() - pos >= 8) {
        uint64_t bytes;
        std::memcpy(&bytes, in.data() + pos, 8);
        if (is_printable_ascii(bytes)) {
          pos += 8;
          continue;
        }
      }
      if (!is_plain_character(static_cast<uint8_t>(in[pos]))) return pos;
      ++pos;
      continue;
    }
    // Chinese text is nearly all characters of three bytes.
    while (in.size() - pos >= 3 && (static_cast<uint8_t>(in[pos]) & 0xF0) == 0xE0) {
      const auto at = [&](size_t i) { return static_cast<uint32_t>(in[pos + i]) & 0x3F; };
      const uint32_t c = (at(0) & 0xF) << 12 | at(1) << 6 | at(2);
      if (!is_plain_character(c)) return pos;
      pos += 3;
    }
    if (pos == in.size()) break;
    if (static_cast<uint8_t>(in[pos]) < 0x80) continue;
    const Character character = character_at(in, pos);
    if (!is_plain_character(character.codepoint)) return pos;
    pos += character.bytes;
  }
  return pos;
}

// Replaces the character at pos when it is a cluster by itself, as nearly all are.
bool PrecompiledCharsmap::replace_solo(std::string_view in, size_t& pos, Sink& sink) const {
  const Character current = character_at(in, pos);
  if (!is_solo_character(current.codepoint) || direct_[current.codepoint] == 0) return false;
  const size_t next = pos + current.bytes;
  if (next < in.size() && !is_solo_character(character_at(in, next).codepoint)) return false;
  sink.replace(replacement(direct_[current.codepoint] - 1), pos);
  pos = next;
  return true;
}

// The end of the grapheme cluster at `begin`.
size_t PrecompiledCharsmap::cluster_end(std::string_view text, size_t begin) const {
  Character current = character_at(text, begin);
  size_t pos = begin + current.bytes;
  if (pos >= text.size()) return pos;
  if (is_solo_character(current.codepoint) &&
      is_solo_character(character_at(text, pos).codepoint)) {
    return pos;
  }
  utf8proc_int32_t state = 0;
  while (pos < text.size()) {
    const Character next = character_at(text, pos);
    if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(current.codepoint),
                                         static_cast<utf8proc_int32_t>(next.codepoint), &state)) {
      break;
    }
    pos += next.bytes;
    current = next;
  }
  return pos;
}

void PrecompiledCharsmap::normalize_cluster(std::string_view in, size_t begin, size_t end,
                                            Sink& sink) const {
  if (end - begin < kClusterLimit) {
    const Match match = find(in.substr(begin, end - begin), /*longest=*/false);
    if (match.length != 0) {
      sink.replace(replacement(match.value), begin);
      return;
    }
  }
  for (size_t pos = begin; pos < end;) {
    const size_t bytes = std::min(character_at(in, pos).bytes, end - pos);
    const Match match = find(in.substr(pos, bytes), /*longest=*/false);
    if (match.length != 0) {
      sink.replace(replacement(match.value), pos);
    } else {
      sink.copy(in, pos, pos + bytes);
    }
    pos += bytes;
  }
}

void PrecompiledCharsmap::normalize(std::string_view in, Matching matching, std::string& out,
                                    std::vector<uint32_t>* source_offsets) const {
  Sink sink{out, source_offsets};
  if (matching == Matching::longest_prefix) {
    for (size_t pos = 0; pos < in.size();) {
      const Match match = find(in.substr(pos), /*longest=*/true);
      const size_t bytes = match.length != 0 ? match.length : character_at(in, pos).bytes;
      if (match.length != 0) {
        sink.replace(replacement(match.value), pos);
      } else {
        sink.copy(in, pos, pos + bytes);
      }
      pos += bytes;
    }
    return;
  }
  out.reserve(out.size() + in.size() + in.size() / 8);
  for (size_t pos = 0; pos < in.size();) {
    if (replace_solo(in, pos, sink)) continue;
    size_t run = plain_run(in, pos);
    if (run < in.size() && run > pos) {  // the last plain one may begin a cluster with what follows
      do --run;
      while (run > pos && (in[run] & 0xC0) == 0x80);
    }
    sink.copy(in, pos, run);
    pos = run;
    if (pos == in.size()) break;
    const size_t end = cluster_end(in, pos);
    normalize_cluster(in, pos, end, sink);
    pos = end;
  }
}

}  // namespace akin::text
