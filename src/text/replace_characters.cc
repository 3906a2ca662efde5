#include "text/replace_characters.h"

#include "text/utf8.h"

namespace akin::text {
namespace {

constexpr size_t kLongest = 64;     // bytes that one character may become
constexpr size_t kMostSteps = 256;  // of one character through the rules
constexpr size_t kMostDepth = 32;

class Expansion {
 public:
  explicit Expansion(std::span<const CharacterRule> rules) : rules_(rules) {}

  // Adds what c becomes from rule `next` on. False when that takes too much.
  bool add(char32_t c, size_t next, size_t depth) {
    if (++steps_ > kMostSteps || depth > kMostDepth) return false;
    while (next < rules_.size() && rules_[next].from != c) ++next;
    if (next == rules_.size()) {
      append_utf8(c, result_);
      return result_.size() <= kLongest;
    }
    const std::string& to = rules_[next].to;
    for (const char* p = to.data(); p < to.data() + to.size();) {
      if (!add(next_code_point(p), next + 1, depth + 1)) return false;
    }
    return true;
  }
  std::string& result() { return result_; }

 private:
  std::span<const CharacterRule> rules_;
  size_t steps_ = 0;
  std::string result_;
};

}  // namespace

std::optional<CharacterRule> character_rule(const JsonValue& json) {
  if (json.at("type").as_string() != "Replace") return {};
  const auto pattern = json.at("pattern").find("String");
  if (!pattern) return {};
  const std::string_view from = pattern->as_string();
  if (from.empty()) return {};
  const char* p = from.data();
  const char32_t c = next_code_point(p);
  if (p != from.data() + from.size()) return {};
  return CharacterRule{c, std::string(json.at("content").as_string())};
}

std::optional<CharacterReplacements> CharacterReplacements::make(
    std::span<const CharacterRule> rules) {
  CharacterReplacements out;
  out.bits_.resize(kBits / 64);
  for (const CharacterRule& rule : rules) {
    Expansion expansion(rules);
    if (!expansion.add(rule.from, 0, 0)) return {};
    out.bits_[rule.from / 64] |= uint64_t{1} << (rule.from % 64);
    if (rule.from < 128) out.ascii_[rule.from] = true;
    out.results_[rule.from] = std::move(expansion.result());
  }
  return out;
}

void CharacterReplacements::apply(NormalizedText& text) const {
  struct Tag;
  NormalizedText& out = thread_scratch<Tag>(text.tracking);
  const char* const base = text.text.data();
  const char* const end = base + text.text.size();
  const char* copied = base;
  for (const char* p = base; p < end;) {
    const char* const at = p;
    const auto byte = static_cast<uint8_t>(*p);
    if (byte < 128 && !ascii_[byte]) {
      ++p;
      continue;
    }
    const char32_t c = next_code_point(p);
    if (!concerns(c)) continue;
    out.append_from(text, static_cast<size_t>(copied - base), static_cast<size_t>(at - base));
    out.append(results_.at(c), text.span_at(static_cast<size_t>(p - base) - 1));
    copied = p;
  }
  if (copied == base) return;
  out.append_from(text, static_cast<size_t>(copied - base), text.text.size());
  text.become(out);
}

}  // namespace akin::text
