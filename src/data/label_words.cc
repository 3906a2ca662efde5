#include "data/label_words.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace akin::data {
namespace {

constexpr std::string_view kDrop = "drop";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::optional<float> parse_number(std::string_view text) {
  float out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && std::isfinite(out) ? std::optional(out) : std::nullopt;
}

// The beginning of a word that may be a whole text, for messages.
std::string_view shortened(std::string_view word) {
  size_t size = std::min<size_t>(word.size(), 40);
  while (size > 0 && size < word.size() && (static_cast<uint8_t>(word[size]) & 0xC0) == 0x80)
    --size;
  return word.substr(0, size);
}

// What to write for a word: for those of natural language inference the usual numbers.
std::string example(std::string_view word, std::string_view begin, std::string_view between,
                    std::string_view end) {
  constexpr std::string_view kInference[] = {"entailment=1", "neutral=0.5", "contradiction=0"};
  const bool known = std::any_of(std::begin(kInference), std::end(kInference),
                                 [&](auto entry) { return entry.starts_with(word); });
  if (word.empty() || !known)
    return fmt::format("{}{}=NUMBER{}...{}", begin, shortened(word), between, end);
  return fmt::format("{}{}{}", begin, fmt::join(kInference, between), end);
}

}  // namespace

LabelWords::LabelWords(const std::vector<std::string>& entries) {
  for (const auto& entry : entries) {
    const size_t equals = entry.rfind('=');
    const std::string_view word = trimmed(std::string_view(entry).substr(0, equals));
    const std::string_view value = equals == std::string::npos
                                       ? std::string_view()
                                       : trimmed(std::string_view(entry).substr(equals + 1));
    const auto number = parse_number(value);
    if (!number && value != kDrop) {
      throw_error(ErrorKind::usage, "labels",
                  "{} is not WORD=NUMBER or WORD=drop, such as entailment=1", quote(entry));
    }
    if (!numbers_.emplace(word, number).second) {
      throw_error(ErrorKind::usage, "labels", "{} is there twice", quote(word));
    }
  }
}

std::optional<float> LabelWords::number(const store::Value& label, const store::RowReader& rows,
                                        std::string_view column) const {
  std::string scratch;
  const std::string_view text = trimmed(store::as_text(label, rows, column, scratch));
  if (numbers_.empty()) {
    const bool word = label.kind == store::Value::Kind::text && !parse_number(text);
    if (!word) return static_cast<float>(store::as_real(label, rows, column));
    throw_error(ErrorKind::bad_format, rows.where(),
                "the label is the word {}, expected a number; say what each word counts as: in the "
                "source of a recipe labels = {}, with akin prep --labels {}",
                quote(text, 40), example(text, "[\"", "\", \"", "\"]"), example(text, "", ",", ""));
  }
  const auto found = numbers_.find(text);
  if (found != numbers_.end()) return found->second;
  std::string known;
  for (const auto& [word, value] : numbers_) known += (known.empty() ? "" : ", ") + quote(word, 40);
  const auto word = shortened(text);
  throw_error(
      ErrorKind::bad_format, rows.where(),
      "the label is {}, but labels knows {}; add \"{}=NUMBER\", or \"{}=drop\" to leave such "
      "rows out",
      quote(text, 40), known, word, word);
}

}  // namespace akin::data
