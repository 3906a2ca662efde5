// Regex text -> PatternStep program. Only pattern.cc uses it.
#pragma once

#include <string_view>

#include "text/pattern.h"

namespace akin::text {

class PatternCompiler {
 public:
  PatternCompiler(std::string_view source, std::string_view where)
      : source_(source), where_(where) {}
  Pattern compile();

 private:
  using Program = std::vector<PatternStep>;
  struct Bounds {
    uint32_t least = 1, most = 1;
    bool lazy = false, possessive = false;
    bool is_once() const { return least == 1 && most == 1; }
  };

  Program alternatives(int depth);
  Program sequence(int depth);
  Program atom(int depth);
  Program group(int depth);
  Program single(CharSet set);
  Program literal(char32_t c);
  CharSet bracket();
  bool bracket_item(CharSet& set);
  bool class_escape(char32_t c, CharSet::Item& item);
  char32_t escaped_character(char32_t c);
  char32_t hex(int digits);
  CharSet::Item property(bool negated);
  Bounds quantifier();
  Program repeat(Program body, const Bounds& bounds);
  static void append(Program& to, const Program& part);
  static void add_character(CharSet& set, char32_t c, bool ignore_case);

  bool at_end() const { return pos_ >= source_.size(); }
  char peek(size_t ahead = 0) const {
    return pos_ + ahead < source_.size() ? source_[pos_ + ahead] : '\0';
  }
  bool accept(std::string_view text);
  char32_t take();
  [[noreturn]] void unsupported(std::string_view what) const;

  std::string_view source_, where_;
  size_t pos_ = 0;
  bool ignore_case_ = false;
  Pattern pattern_;
};

}  // namespace akin::text
