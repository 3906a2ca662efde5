#include "text/pattern_compiler.h"

#include <utf8proc.h>

#include <limits>

#include "base/error.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

constexpr uint32_t kMany = std::numeric_limits<uint32_t>::max();
constexpr uint32_t kMaxCount = 1000;  // {n,m} on a group copies it
constexpr size_t kMaxSteps = 20000;
constexpr int kMaxDepth = 50;

using Op = PatternStep::Op;

uint32_t category_bits(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps",
      "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};
  uint32_t bits = 0;
  for (uint32_t i = 0; i < std::size(kNames); ++i) {
    if (name == kNames[i] || (name.size() == 1 && name[0] == kNames[i][0])) bits |= 1U << i;
  }
  return bits;
}

// Whether the program can reach its end without taking a character.
bool matches_empty(const std::vector<PatternStep>& program) {
  std::vector<uint8_t> seen(program.size() + 1, 0);
  std::vector<uint32_t> pending{0};
  while (!pending.empty()) {
    const uint32_t i = pending.back();
    pending.pop_back();
    if (i >= program.size()) return true;
    if (seen[i] != 0) continue;
    seen[i] = 1;
    const PatternStep& step = program[i];
    if (step.op == Op::set || (step.op == Op::repeat && step.a > 0)) continue;
    const bool moves = step.op == Op::split || step.op == Op::jump || step.op == Op::look;
    pending.push_back(moves ? step.a : i + 1);
    if (step.op == Op::split) pending.push_back(step.b);
  }
  return false;
}

}  // namespace

void PatternCompiler::unsupported(std::string_view what) const {
  throw_error(ErrorKind::unsupported, where_, "pattern {}: {} at byte {} is not supported",
              quote(source_, 200), what, pos_);
}

bool PatternCompiler::accept(std::string_view text) {
  if (!source_.substr(pos_).starts_with(text)) return false;
  pos_ += text.size();
  return true;
}

char32_t PatternCompiler::take() {
  if (at_end()) unsupported("its sudden end");
  const char* p = source_.data() + pos_;
  const char32_t c = next_code_point(p);
  pos_ = static_cast<size_t>(p - source_.data());
  return c;
}

Pattern PatternCompiler::compile() {
  if (!is_valid_utf8(source_)) unsupported("invalid UTF-8");
  pattern_.steps_ = alternatives(0);
  if (!at_end()) unsupported("an unmatched bracket");
  pattern_.steps_.push_back({});
  pattern_.source_ = source_;
  pattern_.where_ = where_;
  return std::move(pattern_);
}

// Jumps and splits hold absolute step numbers of their own program; joining shifts them.
void PatternCompiler::append(Program& to, const Program& part) {
  const auto shift = static_cast<uint32_t>(to.size());
  for (PatternStep step : part) {
    if (step.op == Op::split) step.a += shift, step.b += shift;
    if (step.op == Op::jump || step.op == Op::look) step.a += shift;
    to.push_back(step);
  }
}

PatternCompiler::Program PatternCompiler::alternatives(int depth) {
  if (depth > kMaxDepth) unsupported("nesting this deep");
  const bool outer_case = ignore_case_;
  Program program = sequence(depth);
  while (accept("|")) {
    Program joined;
    const auto second = static_cast<uint32_t>(program.size() + 2);
    joined.push_back({.op = Op::split, .a = 1, .b = second});
    append(joined, program);
    const Program other = sequence(depth);
    joined.push_back({.op = Op::jump, .a = second + static_cast<uint32_t>(other.size())});
    append(joined, other);
    program = std::move(joined);
  }
  ignore_case_ = outer_case;
  return program;
}

PatternCompiler::Program PatternCompiler::sequence(int depth) {
  Program program;
  while (!at_end() && peek() != '|' && peek() != ')') {
    Program part = atom(depth);
    append(program, repeat(std::move(part), quantifier()));
    if (program.size() > kMaxSteps) unsupported("a pattern this large");
  }
  return program;
}

PatternCompiler::Program PatternCompiler::atom(int depth) {
  const char32_t c = take();
  switch (c) {
    case '(':
      return group(depth);
    case '[':
      return single(bracket());
    case '^':
      return {{.op = Op::text_begin}};
    case '$':
      return {{.op = Op::text_end}};
    case '.': {
      CharSet set;
      set.add({.first = '\n', .last = '\n'});
      set.negate();
      return single(std::move(set));
    }
    case '*':
    case '+':
    case '?':
      unsupported("a quantifier without anything before it");
    case '\\': {
      const char32_t e = take();
      CharSet::Item item;
      if (e == 'A') return {{.op = Op::text_begin}};
      if (e == 'z') return {{.op = Op::text_end}};
      if (class_escape(e, item)) {
        CharSet set;
        set.add(item);
        return single(std::move(set));
      }
      return literal(escaped_character(e));
    }
    default:
      return literal(c);
  }
}

PatternCompiler::Program PatternCompiler::group(int depth) {
  const bool outer_case = ignore_case_;
  Program program;
  if (accept("?=") || accept("?!")) {
    const bool negative = source_[pos_ - 1] == '!';
    const Program body = alternatives(depth + 1);
    program.push_back(
        {.op = Op::look, .flag = negative, .a = static_cast<uint32_t>(body.size() + 2)});
    append(program, body);
    program.push_back({});  // match ends the look-ahead
  } else {
    if (accept("?i:")) {
      ignore_case_ = true;
    } else if (!accept("?:") && peek() == '?') {
      unsupported("this kind of group");
    }
    program = alternatives(depth + 1);
  }
  if (!accept(")")) unsupported("a group without its end");
  ignore_case_ = outer_case;
  return program;
}

PatternCompiler::Program PatternCompiler::single(CharSet set) {
  set.finish();
  pattern_.sets_.push_back(std::move(set));
  return {{.op = Op::set, .set = static_cast<uint32_t>(pattern_.sets_.size() - 1)}};
}

void PatternCompiler::add_character(CharSet& set, char32_t c, bool ignore_case) {
  set.add({.first = c, .last = c});
  if (!ignore_case) return;
  char32_t lower[3];
  if (to_lower(c, lower) == 1) c = lower[0];
  const auto upper = static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
  set.add({.first = c, .last = c});
  set.add({.first = upper, .last = upper});
  if (c == 's') set.add({.first = 0x17F, .last = 0x17F});    // long s folds to s
  if (c == 'k') set.add({.first = 0x212A, .last = 0x212A});  // the Kelvin sign folds to k
}

PatternCompiler::Program PatternCompiler::literal(char32_t c) {
  CharSet set;
  add_character(set, c, ignore_case_);
  return single(std::move(set));
}

CharSet PatternCompiler::bracket() {
  CharSet set;
  if (accept("^")) set.negate();
  bool first = true;
  while (first || peek() != ']') {
    if (at_end()) unsupported("a bracket without its end");
    if (peek() == '[') unsupported("a bracket in a bracket");
    if (peek() == '&' && peek(1) == '&') unsupported("an intersection of brackets");
    bracket_item(set);
    first = false;
  }
  accept("]");
  return set;
}

bool PatternCompiler::bracket_item(CharSet& set) {
  char32_t low = take();
  if (low == '\\') {
    const char32_t e = take();
    CharSet::Item item;
    if (class_escape(e, item)) {
      set.add(item);
      return true;
    }
    low = escaped_character(e);
  }
  if (peek() != '-' || peek(1) == ']' || peek(1) == '\0') {
    add_character(set, low, ignore_case_);
    return false;
  }
  accept("-");
  char32_t high = take();
  if (high == '[') unsupported("a bracket in a bracket");
  if (high == '\\') {
    const char32_t e = take();
    CharSet::Item item;
    if (class_escape(e, item)) unsupported("a range that ends in a class");
    high = escaped_character(e);
  }
  if (high < low) unsupported("a range in reverse");
  set.add({.first = low, .last = high});
  if (ignore_case_) {
    if (high - low > 1000) unsupported("a large range that ignores case");
    for (char32_t c = low; c <= high; ++c) add_character(set, c, true);
  }
  return false;
}

bool PatternCompiler::class_escape(char32_t c, CharSet::Item& item) {
  using Kind = CharSet::Kind;
  switch (c) {
    case 's':
    case 'S':
      item = {.kind = Kind::space, .negated = c == 'S'};
      return true;
    case 'd':
    case 'D':
      item = {.kind = Kind::digit, .negated = c == 'D'};
      return true;
    case 'w':
    case 'W':
      item = {.kind = Kind::word, .negated = c == 'W'};
      return true;
    case 'p':
    case 'P':
      item = property(c == 'P');
      return true;
    default:
      return false;
  }
}

CharSet::Item PatternCompiler::property(bool negated) {
  std::string_view name;
  if (accept("{")) {
    if (accept("^")) negated = !negated;
    const size_t end = source_.find('}', pos_);
    if (end == std::string_view::npos) unsupported("a property without its end");
    name = source_.substr(pos_, end - pos_);
    pos_ = end + 1;
  }
  const uint32_t bits = category_bits(name);
  if (bits == 0) unsupported("this property");
  return {.kind = CharSet::Kind::category, .negated = negated, .categories = bits};
}

char32_t PatternCompiler::hex(int digits) {
  const bool braced = digits == 2 && accept("{");
  char32_t value = 0;
  for (int i = 0; braced ? !accept("}") : i < digits; ++i) {
    const char32_t c = take();
    const char32_t lower = c | 0x20;
    if (c >= '0' && c <= '9') {
      value = value * 16 + (c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      value = value * 16 + (lower - 'a' + 10);
    } else {
      unsupported("this number");
    }
    if (value > 0x10FFFF) unsupported("a character this large");
  }
  return value;
}

char32_t PatternCompiler::escaped_character(char32_t c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case 'x':
      return hex(2);
    case 'u':
      return hex(4);
    default:
      if (c < 128 && (is_ascii_punctuation(c) || c == ' ')) return c;
      unsupported("this escape");
  }
}

PatternCompiler::Bounds PatternCompiler::quantifier() {
  Bounds bounds;
  const size_t begin = pos_;
  if (accept("*")) {
    bounds = {0, kMany};
  } else if (accept("+")) {
    bounds = {1, kMany};
  } else if (accept("?")) {
    bounds = {0, 1};
  } else if (accept("{")) {
    const auto number = [&](uint32_t missing) {
      uint32_t value = peek() >= '0' && peek() <= '9' ? 0 : missing;
      while (peek() >= '0' && peek() <= '9') {
        value = value * 10 + static_cast<uint32_t>(take() - '0');
        if (value > kMaxCount) unsupported("a count this large");
      }
      return value;
    };
    bounds.least = number(0);
    bounds.most = accept(",") ? number(kMany) : bounds.least;
    if (!accept("}") || bounds.most < bounds.least || bounds.most == 0) {
      pos_ = begin;
      unsupported("this quantifier");
    }
    if (accept("?")) bounds.lazy = true;
    return bounds;
  } else {
    return bounds;
  }
  if (accept("?")) {
    bounds.lazy = true;
  } else if (accept("+")) {
    bounds.possessive = true;
  }
  if (peek() == '*' || peek() == '+' || peek() == '?') unsupported("a quantifier of a quantifier");
  return bounds;
}

PatternCompiler::Program PatternCompiler::repeat(Program body, const Bounds& bounds) {
  if (bounds.is_once()) return body;
  if (body.size() == 1 && body[0].op == Op::set) {
    return {{.op = Op::repeat,
             .flag = bounds.lazy,
             .possessive = bounds.possessive,
             .set = body[0].set,
             .a = bounds.least,
             .b = bounds.most}};
  }
  if (bounds.possessive) unsupported("a possessive group");
  if (body.empty()) unsupported("a repeated empty group");
  const uint32_t copies = bounds.most == kMany ? bounds.least : bounds.most;
  if (body.size() * (copies + size_t{1}) > kMaxSteps) unsupported("a pattern this large");
  Program program;
  for (uint32_t i = 0; i < bounds.least; ++i) append(program, body);
  const auto optional = [&](uint32_t past, bool loops) {
    const auto here = static_cast<uint32_t>(program.size());
    const uint32_t inside = here + 1;
    program.push_back(
        {.op = Op::split, .a = bounds.lazy ? past : inside, .b = bounds.lazy ? inside : past});
    append(program, body);
    if (loops) program.push_back({.op = Op::jump, .a = here});
  };
  const auto size = static_cast<uint32_t>(body.size());
  if (bounds.most == kMany) {
    if (matches_empty(body)) unsupported("a loop over a group that can be empty");
    optional(static_cast<uint32_t>(program.size()) + size + 2, true);
  } else {
    const uint32_t extra = bounds.most - bounds.least;
    const uint32_t past = static_cast<uint32_t>(program.size()) + extra * (size + 1);
    for (uint32_t i = 0; i < extra; ++i) optional(past, false);
  }
  return program;
}

}  // namespace akin::text
