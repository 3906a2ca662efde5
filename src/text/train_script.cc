#include "text/train_script.h"

#include <algorithm>
#include <iterator>

#include "text/unicode.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

constexpr CharacterKind kLatin = 12, kGreek = 4, kCyrillic = 5, kArabic = 6, kHangul = 7,
                        kBopomofo = 9, kGeorgian = 10, kEthiopic = 11;
constexpr CharacterKind kOtherBlocks = 1000;

struct ScriptRange {
  char32_t first, last;
  CharacterKind kind;
};

// Scripts that take more than one block of 256, or share one; sorted.
constexpr ScriptRange kRanges[] = {
    {0x0041, 0x02AF, kLatin},    {0x0370, 0x03FF, kGreek},    {0x0400, 0x052F, kCyrillic},
    {0x0600, 0x06FF, kArabic},   {0x0750, 0x077F, kArabic},   {0x0870, 0x08FF, kArabic},
    {0x10A0, 0x10FF, kGeorgian}, {0x1100, 0x11FF, kHangul},   {0x1200, 0x139F, kEthiopic},
    {0x1C80, 0x1C8F, kCyrillic}, {0x1C90, 0x1CBF, kGeorgian}, {0x1D00, 0x1DBF, kLatin},
    {0x1E00, 0x1EFF, kLatin},    {0x1F00, 0x1FFF, kGreek},    {0x2C60, 0x2C7F, kLatin},
    {0x2D00, 0x2D2F, kGeorgian}, {0x2D80, 0x2DDF, kEthiopic}, {0x2DE0, 0x2DFF, kCyrillic},
    {0x2E80, 0x2FDF, kHan},      {0x3005, 0x3007, kHan},      {0x3021, 0x3029, kHan},
    {0x3038, 0x303B, kHan},      {0x3040, 0x30FF, kKana},     {0x3100, 0x312F, kBopomofo},
    {0x3130, 0x318F, kHangul},   {0x31A0, 0x31BF, kBopomofo}, {0x31F0, 0x31FF, kKana},
    {0x3400, 0x4DBF, kHan},      {0x4E00, 0x9FFF, kHan},      {0xA640, 0xA69F, kCyrillic},
    {0xA720, 0xA7FF, kLatin},    {0xA960, 0xA97F, kHangul},   {0xAB00, 0xAB2F, kEthiopic},
    {0xAB30, 0xAB6F, kLatin},    {0xAC00, 0xD7FF, kHangul},   {0xF900, 0xFAFF, kHan},
    {0xFB50, 0xFDFF, kArabic},   {0xFE70, 0xFEFF, kArabic},   {0xFF21, 0xFF5A, kLatin},
    {0xFF66, 0xFF9F, kKana},     {0xFFA0, 0xFFDC, kHangul},   {0x1B000, 0x1B16F, kKana},
    {0x20000, 0x3FFFF, kHan},
};

}  // namespace

CharacterKind character_kind(char32_t c, CharacterKind previous) {
  if (c < 0x80) {
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') return kLatin;
    return c >= '0' && c <= '9' ? kNumber : kSign;
  }
  const auto* range =
      std::upper_bound(std::begin(kRanges), std::end(kRanges), c,
                       [](char32_t a, const ScriptRange& b) { return a < b.first; });
  const bool known = range != std::begin(kRanges) && c <= (range - 1)->last;
  if (known && (range - 1)->kind == kHan) return kHan;  // some of its signs are numbers
  if (is_combining_mark(c)) return previous;
  if (is_numeric(c)) return kNumber;
  if (!is_letter(c)) return kSign;
  if (known) return (range - 1)->kind;
  // The Indic and Southeast Asian scripts have half a block each.
  return c < 0x1100 ? kOtherBlocks + (c >> 7) : 2 * kOtherBlocks + (c >> 8);
}

void split_by_kind(std::string_view word, size_t max_characters,
                   std::vector<std::string_view>& parts) {
  const char* const end = word.data() + word.size();
  const char* open = word.data();
  const char* p = open;
  if (word.starts_with(kWordMark)) p += kWordMark.size();
  CharacterKind kind = kSign;
  size_t characters = 0;
  while (p < end) {
    const char* const here = p;
    const char32_t c = next_code_point(p);
    const CharacterKind next = character_kind(c, kind);
    if (characters > 0 && (next != kind || characters == max_characters)) {
      parts.emplace_back(open, static_cast<size_t>(here - open));
      open = here;
      characters = 0;
    }
    kind = next;
    ++characters;
  }
  if (open < end) parts.emplace_back(open, static_cast<size_t>(end - open));
}

}  // namespace akin::text
