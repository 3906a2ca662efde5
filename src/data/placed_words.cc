#include "data/placed_words.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/hash.h"
#include "data/fold.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace akin::data {
namespace {

bool is_dense_character(char32_t c) {
  return (c >= 0x3400 && c <= 0x9FFF) || (c >= 0x3041 && c <= 0x30FF && c != 0x30FB) ||
         text::is_cjk_ideograph(c);
}

bool is_capital(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z';
  char32_t lower[3];
  return text::is_letter(c) && (text::to_lower(c, lower) != 1 || lower[0] != c);
}

uint64_t key_of(std::string_view word) {
  thread_local std::string folded;
  folded.clear();
  append_folded(word, folded);
  return hash64(folded);
}

// What stands before a full stop that ends no sentence.
bool is_abbreviation(std::string_view text, size_t stop) {
  static constexpr std::array<std::string_view, 14> kKnown = {
      "mr", "mrs", "ms", "dr", "st", "vs", "no", "prof", "jr", "sr", "inc", "e.g", "i.e", "etc"};
  size_t begin = stop;
  while (begin > 0 && text[begin - 1] != ' ' && text[begin - 1] != '(') --begin;
  std::string word(text.substr(begin, stop - begin));
  if (word.size() == 1) return true;  // an initial
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return std::find(kKnown.begin(), kKnown.end(), word) != kKnown.end();
}

enum class Stop : uint8_t { none, dense, spaced };

Stop stop_of(char32_t c) {
  if (c == '.' || c == '!' || c == '?') return Stop::spaced;
  if (c == U'。' || c == U'！' || c == U'？' || c == U'；' || c == '\n') return Stop::dense;
  return Stop::none;
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool closes(char32_t c) {
  return c == '"' || c == '\'' || c == ')' || c == U'”' || c == U'’' || c == U'」' || c == U'）';
}

}  // namespace

std::vector<PlacedWord> placed_words(std::string_view text) {
  std::vector<PlacedWord> out;
  const char* const base = text.data();
  const char* const end = base + text.size();
  const char* word = nullptr;
  bool capital = false;
  const auto place = [&](const char* p) { return static_cast<uint32_t>(p - base); };
  const auto finish = [&](const char* at) {
    if (word == nullptr) return;
    const std::string_view bytes(word, static_cast<size_t>(at - word));
    out.push_back({place(word), place(at), key_of(bytes), false, capital});
    word = nullptr;
  };
  for (const char* p = base; p < end;) {
    const char* const at = p;
    const char32_t c = text::next_code_point(p);
    if (is_dense_character(c)) {
      finish(at);
      const std::string_view bytes(at, static_cast<size_t>(p - at));
      out.push_back({place(at), place(p), hash64(bytes), true, false});
    } else if (text::is_word_character(c)) {
      if (word == nullptr) {
        word = at;
        capital = is_capital(c);
      }
    } else {
      finish(at);
    }
  }
  finish(end);
  return out;
}

std::vector<PlacedTerm> placed_terms(std::string_view text, std::span<const PlacedWord> words) {
  std::vector<PlacedTerm> out;
  const auto follows = [&](size_t i) {  // word i goes on from the ideograph before it
    return i > 0 && i < words.size() && words[i].dense && words[i - 1].dense &&
           words[i - 1].end == words[i].begin;
  };
  for (size_t i = 0; i < words.size(); ++i) {
    const PlacedWord& word = words[i];
    if (follows(i)) {
      const uint32_t begin = words[i - 1].begin;
      out.push_back({begin, word.end, hash64(text.substr(begin, word.end - begin))});
    } else if (!word.dense || !follows(i + 1)) {
      out.push_back({word.begin, word.end, word.key});
    }
  }
  return out;
}

std::vector<Place> sentences(std::string_view text) {
  std::vector<Place> out;
  const char* const base = text.data();
  const char* const end = base + text.size();
  const char* begin = base;
  const auto finish = [&](const char* stop) {
    while (begin < stop && is_space(*begin)) ++begin;
    const char* last = stop;
    while (last > begin && is_space(last[-1])) --last;
    if (last > begin) {
      out.push_back({static_cast<uint32_t>(begin - base), static_cast<uint32_t>(last - base)});
    }
    begin = stop;
  };
  for (const char* p = base; p < end;) {
    const char* const at = p;
    const char32_t c = text::next_code_point(p);
    Stop stop = stop_of(c);
    if (c == '.' && is_abbreviation(text, static_cast<size_t>(at - base))) stop = Stop::none;
    if (stop == Stop::none) continue;
    for (const char* next = p; next < end;) {  // quotes and brackets that close behind it
      if (!closes(text::next_code_point(next))) break;
      p = next;
    }
    if (stop == Stop::dense || p == end || is_space(*p)) finish(p);
  }
  finish(end);
  return out;
}

bool is_dense(std::span<const PlacedWord> words) {
  const auto dense = std::count_if(words.begin(), words.end(), [](auto& w) { return w.dense; });
  return 2 * static_cast<size_t>(dense) > words.size();
}

}  // namespace akin::data
