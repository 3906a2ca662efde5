// Text to the words that BM25 counts. Letters and digits in a row are a word: case folded,
// compatibility forms made plain (full-width letters, ligatures), Latin, Greek and Cyrillic accents
// dropped; nothing is stemmed and nothing is a stop word. Scripts written without spaces (Han,
// kana, Hangul, Thai, ...) have no such words: of a run each character and each two neighbours
// count.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace akin::index {

enum class WordSide : uint8_t {
  document,  // of a run without spaces: characters and pairs
  query,     // pairs alone; the character where the run has but one
};

struct Word {
  std::string text;             // folded
  uint32_t begin = 0, end = 0;  // its bytes in the text
};

// Words longer than kMaxWordBytes when folded are cut there, at a character. Any bytes are
// accepted; invalid UTF-8 separates words.
inline constexpr size_t kMaxWordBytes = 96;

// Hands out one word after another.
class WordSplitter {
 public:
  WordSplitter(std::string_view text, WordSide side) : text_(text), side_(side) {}
  bool next(Word& word);

 private:
  struct Character {
    int32_t code = 0;  // -1: no character
    uint32_t begin = 0, end = 0;
    bool part = false, dense = false;  // of a word; of a script without spaces
  };
  Character peek(size_t at) const;
  void dense_word(Word& word);
  void spaced_word(const Character& first, Word& word);

  std::string_view text_;
  WordSide side_;
  size_t at_ = 0;
  bool pair_next_ = false;  // document: the character at at_ was given, its pair was not
};

// Each word of a query once, in order of first appearance.
std::vector<std::string> query_words(std::string_view text);
uint32_t count_words(std::string_view text);  // of a document

}  // namespace akin::index
