// Unicode normalization forms with source spans: decompose, order, compose (UAX #15).
#include <algorithm>
#include <array>

#include "text/normalizer.h"
#include "text/unicode.h"

namespace akin::text {
namespace {

struct Mark {
  char32_t c;
  Span span;
  uint8_t combining_class;
};

// A starter and the characters behind it up to the next starter, waiting to be ordered.
class Run {
 public:
  Run(NormalizedText& out, bool compose) : out_(out), compose_(compose) {}

  void add(char32_t c, Span span) {
    const uint8_t k = combining_class(c);
    if (k == 0) {
      if (compose_ && compose_starters(c)) return;
      flush();
    }
    marks_.push_back({c, span, k});
  }

  void flush() {
    if (marks_.empty()) return;
    settle();
    for (const Mark& m : marks_) out_.append(m.c, m.span);
    marks_.clear();
  }

 private:
  // Orders the marks behind the starter and composes what can be; the run is then as in the result.
  void settle() {
    const auto first = marks_.begin() + (marks_.front().combining_class == 0 ? 1 : 0);
    std::stable_sort(first, marks_.end(), [](const Mark& a, const Mark& b) {
      return a.combining_class < b.combining_class;
    });
    if (compose_ && marks_.front().combining_class == 0) compose_marks();
  }

  void compose_marks() {
    size_t kept = 1;
    uint8_t last_class = 0;  // of the last mark kept: it blocks equal classes
    for (size_t i = 1; i < marks_.size(); ++i) {
      const Mark m = marks_[i];
      const bool blocked = kept > 1 && last_class >= m.combining_class;
      const char32_t composite = blocked ? 0 : compose_pair(marks_[0].c, m.c);
      if (composite != 0) {
        marks_[0].c = composite;
      } else {
        last_class = m.combining_class;
        marks_[kept++] = m;
      }
    }
    marks_.resize(kept);
  }

  // Two starters side by side may compose as well (Hangul, some Indic vowels).
  bool compose_starters(char32_t c) {
    if (marks_.empty() || c < 0x300) return false;
    settle();
    if (marks_.size() != 1) return false;
    const char32_t composite = compose_pair(marks_[0].c, c);
    if (composite == 0) return false;
    marks_[0].c = composite;
    return true;
  }

  NormalizedText& out_;
  bool compose_;
  std::vector<Mark> marks_;
};

}  // namespace

void normalize_unicode(NormalizedText& text, UnicodeForm form) {
  if (is_ascii(text.text)) return;
  const bool compatible = form == UnicodeForm::nfkc || form == UnicodeForm::nfkd;
  const bool composing = form == UnicodeForm::nfc || form == UnicodeForm::nfkc;
  struct Tag;
  NormalizedText& out = thread_scratch<Tag>(text.tracking);
  Run run(out, composing);
  const char* const base = text.text.data();
  const char* const end = base + text.text.size();
  std::array<char32_t, kMaxDecomposition> parts;
  for (const char* p = base; p < end;) {
    const Span span = text.span_at(static_cast<size_t>(p - base));
    const char32_t c = next_code_point(p);
    const uint32_t n = decompose(c, compatible, parts.data());
    for (uint32_t i = 0; i < n; ++i) run.add(parts[i], span);
  }
  run.flush();
  text.become(out);
}

}  // namespace akin::text
