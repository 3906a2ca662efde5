// Many replacements of one character each as one pass over the text: tokenizers put a space after
// every mark of punctuation in sixty rules. Not replacements of longer strings or by pattern
// (pattern.h), whose matches depend on each other.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "text/normalized_text.h"

namespace akin::text {

struct CharacterRule {
  char32_t from;
  std::string to;
};
// The rule of a "Replace" normalizer whose pattern is a string of one character; else nothing.
std::optional<CharacterRule> character_rule(const JsonValue& json);

class CharacterReplacements {
 public:
  // As the rules one after another, each applied to what those before it left. Nothing when a
  // character would grow beyond reason; then the rules are to be applied one by one.
  static std::optional<CharacterReplacements> make(std::span<const CharacterRule> rules);

  void apply(NormalizedText& text) const;

 private:
  bool concerns(char32_t c) const { return c < kBits && (bits_[c / 64] >> (c % 64) & 1) != 0; }

  static constexpr char32_t kBits = 0x110000;
  std::array<bool, 128> ascii_{};
  std::vector<uint64_t> bits_;
  std::unordered_map<char32_t, std::string> results_;
};

}  // namespace akin::text
