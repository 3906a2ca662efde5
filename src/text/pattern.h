// The regular expressions that tokenizer files use, run by backtracking over UTF-8. Not a general
// regex library: no back-references, no look-behind, no scripts; those are Error(unsupported).
// Follows Oniguruma's Ruby syntax, as Hugging Face tokenizers does.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace akin::text {

// A set of characters. Immutable once built.
class CharSet {
 public:
  enum class Kind : uint8_t { range, space, digit, word, category };
  struct Item {
    Kind kind = Kind::range;
    bool negated = false;
    char32_t first = 0, last = 0;  // range
    uint32_t categories = 0;       // category: bit per utf8proc category
  };
  void add(Item item) { items_.push_back(item); }
  void negate() { negated_ = true; }
  void finish();  // fills the table for ASCII
  bool contains(char32_t c) const {
    return c < 128 ? (ascii_[c >> 6] >> (c & 63) & 1) != 0 : compute(c);
  }

 private:
  bool compute(char32_t c) const;
  std::vector<Item> items_;
  bool negated_ = false;
  uint64_t ascii_[2] = {0, 0};
};

// One step of a compiled pattern.
struct PatternStep {
  enum class Op : uint8_t { set, repeat, split, jump, look, text_begin, text_end, match };
  Op op = Op::match;
  bool flag = false;  // repeat: lazy; look: negative
  bool possessive = false;
  uint32_t set = 0;       // set, repeat: number of the set
  uint32_t a = 0, b = 0;  // repeat: at least, at most; split: first, second; jump, look: where to
};

// Immutable after compilation; thread-safe.
class Pattern {
 public:
  // {"String": "..."} (literal) or {"Regex": "..."}.
  static Pattern from_json(const JsonValue& json);
  static Pattern literal(std::string_view text);
  // Errors: unsupported, naming the pattern and what in it is not known.
  static Pattern regex(std::string_view pattern, std::string_view where);

  // Calls f(begin, end) for the non-overlapping, non-empty matches from left to right. Errors:
  // unsupported when the pattern backtracks without measure on this text.
  void for_each_match(std::string_view text, const std::function<void(size_t, size_t)>& f) const;

 private:
  friend class PatternCompiler;
  std::string literal_;
  bool is_literal_ = false;
  std::string source_, where_;
  std::vector<PatternStep> steps_;
  std::vector<CharSet> sets_;
};

}  // namespace akin::text
