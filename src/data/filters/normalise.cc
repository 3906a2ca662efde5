// Normalise: one form of white space, nothing invisible.
//
// Computes  each text with every run of Unicode white space and control characters as one space,
//           none at its ends, and without byte order marks and zero-width spaces.
// Data      any record; a negative that becomes empty goes.
// Options   none.
// Removes   nothing; counts the records it changed.
// Source    ours. Case, width and composition stay: models see them.
// See also  dedup.cc (folds case for comparison only).
#include <utility>

#include "data/filter.h"
#include "data/negatives.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace akin::data {
namespace {

constexpr bool is_invisible(char32_t c) { return c == 0xFEFF || c == 0x200B || c == 0x2060; }

// Nothing to do: printable ASCII with single spaces inside. What most texts are.
bool is_plain(std::string_view text) {
  bool space = true;  // a space at the begin is one too many
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7F || (byte == 0x20 && space)) return false;
    space = byte == 0x20;
  }
  return text.empty() || !space;
}

bool is_blank(char32_t c) {
  if (c < 0x80) return c <= 0x20 || c == 0x7F;
  if (c >= 0x3001 && c <= 0xFEFE) return false;
  return text::is_white_space(c) || (c < 0xA0);
}

// True when the text was changed.
bool normalise(std::string& text) {
  if (is_plain(text)) return false;
  thread_local std::string out;
  out.clear();
  bool blank = false;
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p < end) {
    const char* const at = p;
    const char32_t c = text::next_code_point(p);
    if (is_invisible(c)) continue;
    if (is_blank(c)) {
      blank = true;
      continue;
    }
    if (blank && !out.empty()) out += ' ';
    blank = false;
    out.append(at, static_cast<size_t>(p - at));
  }
  if (out == text) return false;
  text = out;
  return true;
}

class Normalise final : public RecordFilter {
 public:
  Verdict judge_record(Record& record) const override {
    bool changed = normalise(record.query);
    if (record.is_pair()) changed = normalise(record.positive) || changed;
    bool emptied = false;
    for (auto& negative : record.negatives) {
      changed = normalise(negative) || changed;
      emptied = emptied || negative.empty();
    }
    if (emptied) {
      keep_negatives(record, [&](size_t i) { return !record.negatives[i].empty(); });
      changed = true;
    }
    return {.changed = changed};
  }
};

}  // namespace

std::unique_ptr<Filter> make_normalise_filter(const FilterOptions& /*options*/) {
  return std::make_unique<Normalise>();
}

}  // namespace akin::data
