// In which language a text is: CLD2, which is built in, or a fastText model from a file. Judges no
// record: that is filters/language.cc. Internal to data/.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace akin::data {

struct LanguageGuess {
  size_t language = 0;    // a number in LanguageDetector::names()
  double confidence = 0;  // 0..1; 0: nobody can tell
};

// Thread-safe.
class LanguageDetector {
 public:
  virtual ~LanguageDetector() = default;
  virtual LanguageGuess detect(std::string_view text) const = 0;  // valid UTF-8
  // Codes such as "en", "zh", "zh-Hant".
  virtual const std::vector<std::string>& names() const = 0;
};

// Confidence: the language's share of the text, when CLD2 calls its answer reliable; else 0.
std::unique_ptr<LanguageDetector> make_cld2_detector();
// A supervised fastText model, .bin or .ftz, whose labels are "__label__" and a code. Confidence:
// the label's probability. Errors: not_found, io; bad_format, naming what the file says and what
// was expected; unsupported.
std::unique_ptr<LanguageDetector> make_fasttext_detector(const std::filesystem::path& path);

}  // namespace akin::data
