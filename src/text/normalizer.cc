#include "text/normalizer.h"

#include <array>
#include <functional>

#include "base/error.h"
#include "text/base64.h"
#include "text/byte_level.h"
#include "text/charsmap.h"
#include "text/pattern.h"
#include "text/replace_characters.h"
#include "text/unicode.h"

namespace akin::text {
namespace {

template <typename F>
class FunctionNormalizer final : public Normalizer {
 public:
  explicit FunctionNormalizer(F f) : f_(std::move(f)) {}
  void apply(NormalizedText& text) const override { f_(text); }

 private:
  F f_;
};

template <typename F>
std::unique_ptr<Normalizer> from_function(F f) {
  return std::make_unique<FunctionNormalizer<F>>(std::move(f));
}

bool is_bert_space(char32_t c) { return is_white_space(c) && c != 0x0B && c != 0x0C && c != 0x85; }

// Whether a text is printable ASCII and blanks, which cleaning leaves alone.
bool is_clean_ascii(std::string_view text) {
  bool clean = true;
  for (const char c : text) clean &= c >= ' ' && c <= '~';
  return clean;
}

void clean_text(NormalizedText& text) {
  if (is_clean_ascii(text.text)) return;
  rewrite_characters(text, [](NormalizedText& out, char32_t c, Span span) {
    if (is_bert_space(c)) {
      out.append(U' ', span);
    } else if (c != 0 && c != 0xFFFD && !is_other(c)) {
      out.append(c, span);
    }
  });
}

void space_ideographs(NormalizedText& text) {
  if (is_ascii(text.text)) return;
  rewrite_characters(text, [](NormalizedText& out, char32_t c, Span span) {
    const bool spaced = is_cjk_ideograph(c);
    if (spaced) out.append(U' ', span);
    out.append(c, span);
    if (spaced) out.append(U' ', span);
  });
}

void remove_if(NormalizedText& text, bool (*unwanted)(char32_t)) {
  if (is_ascii(text.text)) return;
  rewrite_characters(text, [unwanted](NormalizedText& out, char32_t c, Span span) {
    if (!unwanted(c)) out.append(c, span);
  });
}

// The map of sentencepiece's "nmt" rules.
void nmt(NormalizedText& text) {
  rewrite_characters(text, [](NormalizedText& out, char32_t c, Span span) {
    if ((c >= 1 && c <= 8) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F ||
        c == 0x9F) {
      return;
    }
    const bool space = c == 9 || c == 10 || c == 12 || c == 13 || c == 0x1680 ||
                       (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                       c == 0xFEFF || c == 0xFFFD;
    out.append(space ? U' ' : c, span);
  });
}

void strip(NormalizedText& text, bool left, bool right) {
  const char* begin = text.text.data();
  const char* end = begin + text.text.size();
  while (right && end > begin && is_white_space(last_code_point(end))) {
    --end;
    while ((static_cast<uint8_t>(*end) & 0xC0) == 0x80) --end;
  }
  text.text.resize(static_cast<size_t>(end - text.text.data()));
  while (left && begin < end) {
    const char* next = begin;
    if (!is_white_space(next_code_point(next))) break;
    begin = next;
  }
  const auto removed = static_cast<size_t>(begin - text.text.data());
  text.text.erase(0, removed);
  if (text.tracking) {
    text.spans.resize(removed + text.text.size());
    text.spans.erase(text.spans.begin(), text.spans.begin() + static_cast<ptrdiff_t>(removed));
  }
}

void prepend(NormalizedText& text, const std::string& prefix) {
  if (text.text.empty()) return;
  check_growth(text.text.size() + prefix.size(), text.most_bytes());
  const Span span = text.span_at(0);
  text.text.insert(0, prefix);
  if (text.tracking) text.spans.insert(text.spans.begin(), prefix.size(), span);
}

void replace(NormalizedText& text, const Pattern& pattern, const std::string& content) {
  struct Tag;
  NormalizedText& out = thread_scratch<Tag>(text.tracking);
  size_t copied = 0;
  const size_t most = text.most_bytes();
  const auto rewrite = [&](size_t begin, size_t end) {
    out.append_from(text, copied, begin);
    // A replacement shares the place of the last character that it replaces.
    out.append(content, end != 0 ? text.span_at(end - 1) : Span{});
    check_growth(out.text.size(), most);
    copied = end;
  };
  pattern.for_each_match(text.text, std::ref(rewrite));
  if (copied == 0 && out.text.empty()) return;
  out.append_from(text, copied, text.text.size());
  text.become(out);
}

// Runs f(in, out, offsets) and turns offsets into `in` back into spans of the original.
template <typename F>
void map_bytes(NormalizedText& text, F&& f) {
  struct Tag;
  NormalizedText& out = thread_scratch<Tag>(text.tracking);
  if (!text.tracking) {
    f(std::string_view(text.text), out.text, nullptr);
  } else {
    std::vector<uint32_t> offsets;
    f(std::string_view(text.text), out.text, &offsets);
    out.spans.reserve(offsets.size());
    for (const uint32_t offset : offsets) out.spans.push_back(text.spans[offset]);
  }
  text.become(out);
}

std::unique_ptr<Normalizer> make_precompiled(const JsonValue& json) {
  const JsonValue field = json.at("precompiled_charsmap");
  auto charsmap = PrecompiledCharsmap::from_bytes(decode_base64(field.as_string(), field.where()),
                                                  field.where());
  return from_function([charsmap = std::move(charsmap)](NormalizedText& text) {
    if (charsmap.is_plain(text.text)) return;
    map_bytes(text, [&](std::string_view in, std::string& out, std::vector<uint32_t>* offsets) {
      charsmap.normalize(in, out, offsets);
    });
  });
}

// One pass for the rules of the last parts, where there are several, in place of these.
void merge_rules(std::vector<std::unique_ptr<Normalizer>>& parts,
                 std::vector<CharacterRule>& rules) {
  if (rules.size() > 1) {
    if (auto merged = CharacterReplacements::make(rules)) {
      parts.resize(parts.size() - rules.size());
      parts.push_back(from_function(
          [merged = std::move(*merged)](NormalizedText& text) { merged.apply(text); }));
    }
  }
  rules.clear();
}

std::unique_ptr<Normalizer> make_sequence(const JsonValue& json) {
  const auto items = json.at("normalizers").items();
  return from_function([parts = make_normalizers(items)](NormalizedText& text) {
    for (const auto& part : parts) part->apply(text);
  });
}

std::unique_ptr<Normalizer> make_unicode_form(UnicodeForm form) {
  return from_function([form](NormalizedText& text) { normalize_unicode(text, form); });
}

}  // namespace

void lowercase(NormalizedText& text) {
  if (is_ascii(text.text)) {
    for (char& c : text.text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    return;
  }
  rewrite_characters(text, [](NormalizedText& out, char32_t c, Span span) {
    char32_t lower[3];
    const uint32_t n = to_lower(c, lower);
    for (uint32_t i = 0; i < n; ++i) out.append(lower[i], span);
  });
}

BertNormalizerOptions bert_normalizer_options(const JsonValue& json) {
  BertNormalizerOptions options;
  options.clean_text = json.get("clean_text", true);
  options.handle_chinese_chars = json.get("handle_chinese_chars", true);
  options.lowercase = json.get("lowercase", true);
  options.strip_accents = json.get("strip_accents", options.lowercase);
  return options;
}

std::unique_ptr<Normalizer> make_bert_normalizer(const BertNormalizerOptions& options) {
  return from_function([options](NormalizedText& text) {
    if (options.clean_text) clean_text(text);
    if (options.handle_chinese_chars) space_ideographs(text);
    if (options.strip_accents) {
      normalize_unicode(text, UnicodeForm::nfd);
      remove_if(text, is_nonspacing_mark);
    }
    if (options.lowercase) lowercase(text);
  });
}

std::vector<std::unique_ptr<Normalizer>> make_normalizers(std::span<const JsonValue> items) {
  constexpr size_t kRulesMost = 256;  // merged at once: each of their characters meets all of them
  std::vector<std::unique_ptr<Normalizer>> parts;
  std::vector<CharacterRule> rules;  // of the last parts
  for (const JsonValue& item : items) {
    auto rule = character_rule(item);
    if (!rule || rules.size() == kRulesMost) merge_rules(parts, rules);
    parts.push_back(make_normalizer(item));
    if (rule) rules.push_back(std::move(*rule));
  }
  merge_rules(parts, rules);
  return parts;
}

std::unique_ptr<Normalizer> make_normalizer(const JsonValue& json) {
  const std::string_view type = json.at("type").as_string();
  if (type == "Sequence") return make_sequence(json);
  if (type == "BertNormalizer") return make_bert_normalizer(bert_normalizer_options(json));
  if (type == "Lowercase") return from_function(lowercase);
  if (type == "NFC") return make_unicode_form(UnicodeForm::nfc);
  if (type == "NFD") return make_unicode_form(UnicodeForm::nfd);
  if (type == "NFKC") return make_unicode_form(UnicodeForm::nfkc);
  if (type == "NFKD") return make_unicode_form(UnicodeForm::nfkd);
  if (type == "StripAccents") {
    return from_function([](NormalizedText& text) { remove_if(text, is_combining_mark); });
  }
  if (type == "Strip") {
    return from_function([left = json.get("strip_left", true),
                          right = json.get("strip_right", true)](NormalizedText& text) {
      strip(text, left, right);
    });
  }
  if (type == "Nmt") return from_function(nmt);
  if (type == "Prepend") {
    return from_function([prefix = std::string(json.at("prepend").as_string())](
                             NormalizedText& text) { prepend(text, prefix); });
  }
  if (type == "Replace") {
    return from_function([pattern = Pattern::from_json(json.at("pattern")),
                          content = std::string(json.at("content").as_string())](
                             NormalizedText& text) { replace(text, pattern, content); });
  }
  if (type == "Precompiled") return make_precompiled(json);
  if (type == "ByteLevel") {
    return from_function([](NormalizedText& text) {
      map_bytes(text, [](std::string_view in, std::string& out, std::vector<uint32_t>* offsets) {
        byte_level_encode(in, out, offsets);
      });
    });
  }
  throw_error(ErrorKind::unsupported, json.where(), "unknown normalizer type {}", quote(type));
}

}  // namespace akin::text
