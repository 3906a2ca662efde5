#include "text/pattern.h"

#include <utf8proc.h>

#include "base/error.h"
#include "text/pattern_compiler.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

using Op = PatternStep::Op;
constexpr size_t kNone = static_cast<size_t>(-1);
constexpr size_t kKeptChoices = 4096;

// One run of a program over one text. Choices wait on an explicit stack, so depth is only memory.
class Matcher {
 public:
  Matcher(std::string_view text, const std::vector<PatternStep>& steps,
          const std::vector<CharSet>& sets)
      : text_(text), steps_(steps), sets_(sets), budget_(1000000 + 200 * text.size()) {
    std::swap(choices_, spare_choices());
  }
  ~Matcher() {
    if (choices_.capacity() > kKeptChoices) return;
    choices_.clear();
    std::swap(choices_, spare_choices());
  }
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;

  // The end of the match that starts at `begin`, or kNone.
  size_t match(uint32_t step, size_t begin, int depth = 0);
  bool exhausted() const { return budget_ == 0; }

 private:
  struct Choice {
    uint32_t step;
    uint32_t repeats_left;  // repeat: how many characters may still be given back (greedy) or taken
    size_t pos;
    bool is_repeat, lazy;
  };
  // A thread's room for choices, while no matcher has it.
  static std::vector<Choice>& spare_choices() {
    static thread_local std::vector<Choice> spare;
    return spare;
  }
  bool accept(const CharSet& set, size_t& pos) const {
    if (pos >= text_.size()) return false;
    const char* p = text_.data() + pos;
    const char32_t c = next_code_point(p);
    if (!set.contains(c)) return false;
    pos = static_cast<size_t>(p - text_.data());
    return true;
  }
  bool repeat(uint32_t number, size_t& pos);
  bool resume(size_t bottom, uint32_t& step, size_t& pos);
  bool spend() {
    if (budget_ == 0) return false;
    --budget_;
    return true;
  }

  std::string_view text_;
  const std::vector<PatternStep>& steps_;
  const std::vector<CharSet>& sets_;
  std::vector<Choice> choices_;
  size_t budget_;
};

bool Matcher::repeat(uint32_t number, size_t& pos) {
  const PatternStep& step = steps_[number];
  const CharSet& set = sets_[step.set];
  uint32_t count = 0;
  while (count < step.a) {
    if (!spend() || !accept(set, pos)) return false;
    ++count;
  }
  if (step.flag) {
    choices_.push_back({number, step.b - count, pos, true, true});
    return true;
  }
  const uint32_t least = count;
  while (count < step.b && spend() && accept(set, pos)) ++count;
  if (count > least && !step.possessive) {
    choices_.push_back({number, count - least, pos, true, false});
  }
  return true;
}

// Takes the latest choice above `bottom`; false when none is left.
bool Matcher::resume(size_t bottom, uint32_t& step, size_t& pos) {
  while (choices_.size() > bottom) {
    if (!spend()) return false;
    Choice& choice = choices_.back();
    if (!choice.is_repeat) {
      step = choice.step;
      pos = choice.pos;
      choices_.pop_back();
      return true;
    }
    if (choice.repeats_left == 0 ||
        (choice.lazy && !accept(sets_[steps_[choice.step].set], choice.pos))) {
      choices_.pop_back();
      continue;
    }
    if (!choice.lazy) {
      do {
        --choice.pos;
      } while ((static_cast<uint8_t>(text_[choice.pos]) & 0xC0) == 0x80);
    }
    --choice.repeats_left;
    step = choice.step + 1;
    pos = choice.pos;
    if (choice.repeats_left == 0) choices_.pop_back();
    return true;
  }
  return false;
}

size_t Matcher::match(uint32_t step, size_t begin, int depth) {
  const size_t bottom = choices_.size();
  size_t pos = begin;
  while (spend()) {
    const PatternStep& s = steps_[step];
    bool ok = true;
    switch (s.op) {
      case Op::match:
        choices_.resize(bottom);
        return pos;
      case Op::set:
        ok = accept(sets_[s.set], pos);
        ++step;
        break;
      case Op::repeat:
        ok = repeat(step, pos);
        ++step;
        break;
      case Op::split:
        choices_.push_back({s.b, 0, pos, false, false});
        step = s.a;
        break;
      case Op::jump:
        step = s.a;
        break;
      case Op::look:  // nesting is bounded by the compiler
        ok = (match(step + 1, pos, depth + 1) == kNone) == s.flag;
        step = s.a;
        break;
      case Op::text_begin:
        ok = pos == 0;
        ++step;
        break;
      case Op::text_end:
        ok = pos == text_.size();
        ++step;
        break;
    }
    if (!ok && !resume(bottom, step, pos)) break;
  }
  choices_.resize(bottom);
  return kNone;
}

}  // namespace

bool CharSet::compute(char32_t c) const {
  for (const Item& item : items_) {
    bool in = false;
    switch (item.kind) {
      case Kind::range:
        in = c >= item.first && c <= item.last;
        break;
      case Kind::space:
        in = is_white_space(c);
        break;
      case Kind::digit:
        in = utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ND;
        break;
      case Kind::word:
        in = is_word_character(c);
        break;
      case Kind::category:
        in = (item.categories >> utf8proc_category(static_cast<utf8proc_int32_t>(c)) & 1) != 0;
        break;
    }
    if (in != item.negated) return !negated_;
  }
  return negated_;
}

void CharSet::finish() {
  for (char32_t c = 0; c < 128; ++c) {
    if (compute(c)) ascii_[c >> 6] |= uint64_t{1} << (c & 63);
  }
}

Pattern Pattern::from_json(const JsonValue& json) {
  if (const auto string = json.find("String")) return literal(string->as_string());
  return regex(json.at("Regex").as_string(), json.where());
}

Pattern Pattern::literal(std::string_view text) {
  Pattern pattern;
  pattern.is_literal_ = true;
  pattern.literal_ = text;
  return pattern;
}

Pattern Pattern::regex(std::string_view pattern, std::string_view where) {
  return PatternCompiler(pattern, where).compile();
}

void Pattern::for_each_match(std::string_view text,
                             const std::function<void(size_t, size_t)>& f) const {
  if (is_literal_) {
    if (literal_.empty()) return;
    for (size_t at = text.find(literal_); at != std::string_view::npos;) {
      f(at, at + literal_.size());
      at = text.find(literal_, at + literal_.size());
    }
    return;
  }
  Matcher matcher(text, steps_, sets_);
  const PatternStep& first = steps_[0];
  const CharSet* first_set =
      first.op == Op::set || (first.op == Op::repeat && first.a > 0) ? &sets_[first.set] : nullptr;
  for (size_t pos = 0; pos < text.size();) {
    if (first_set != nullptr) {  // most characters cannot begin a match: pass them quickly
      const char* p = text.data() + pos;
      if (!first_set->contains(next_code_point(p))) {
        pos = static_cast<size_t>(p - text.data());
        continue;
      }
    }
    const size_t end = matcher.match(0, pos);
    if (matcher.exhausted()) {
      throw_error(ErrorKind::unsupported, where_,
                  "pattern {} backtracks without measure on a text of {} bytes",
                  quote(source_, 200), text.size());
    }
    if (end != kNone && end > pos) {
      f(pos, end);
      pos = end;
    } else {
      const char* p = text.data() + pos;
      next_code_point(p);
      pos = static_cast<size_t>(p - text.data());
    }
  }
}

}  // namespace akin::text
