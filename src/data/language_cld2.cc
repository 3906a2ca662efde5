// CLD2 as a detector. It is slow for its kind (about 0.1 us a byte), so it sees the beginning of a
// text, and more of it only where that is not enough.
// CLD2's header needs cstdio and does not include it.
// clang-format off
#include <cstdio>
#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>
// clang-format on

#include "data/language.h"

namespace akin::data {
namespace {

constexpr size_t kFirstBytes = 64, kMostBytes = 2048;

// At most `bytes` of the text's beginning, whole words where there are spaces.
std::string_view beginning(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  size_t end = bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  const size_t space = text.substr(0, end).find_last_of(' ');
  return text.substr(0, space != std::string_view::npos && space > bytes / 2 ? space : end);
}

class Cld2 final : public LanguageDetector {
 public:
  Cld2() {
    for (int i = 0; i < CLD2::NUM_LANGUAGES; ++i) {
      names_.emplace_back(CLD2::LanguageCode(static_cast<CLD2::Language>(i)));
    }
    names_.emplace_back("unknown");
  }
  const std::vector<std::string>& names() const override { return names_; }

  LanguageGuess detect(std::string_view text) const override {
    const std::string_view head = beginning(text, kFirstBytes);
    const LanguageGuess guess = ask(head);
    if (guess.confidence >= kEnough || head.size() == text.size()) return guess;
    return ask(beginning(text, kMostBytes));
  }

 private:
  static constexpr double kEnough = 0.9;

  LanguageGuess ask(std::string_view text) const {
    const CLD2::CLDHints hints{nullptr, nullptr, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
    CLD2::Language languages[3];
    int percents[3], bytes = 0;
    double scores[3];
    bool reliable = false;
    CLD2::ExtDetectLanguageSummary(text.data(), static_cast<int>(text.size()), true, &hints, 0,
                                   languages, percents, scores, nullptr, &bytes, &reliable);
    const size_t unknown = names_.size() - 1;
    if (!reliable || languages[0] == CLD2::UNKNOWN_LANGUAGE || languages[0] < 0 ||
        static_cast<size_t>(languages[0]) >= unknown) {
      return {unknown, 0};
    }
    return {static_cast<size_t>(languages[0]), percents[0] / 100.0};
  }

  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<LanguageDetector> make_cld2_detector() { return std::make_unique<Cld2>(); }

}  // namespace akin::data
