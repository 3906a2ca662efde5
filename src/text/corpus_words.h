// The distinct words of a corpus with their counts: what vocabularies are trained from. Not the
// reading of files, nor the rules for what a word is (vocab_recipe.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/threads.h"

namespace akin::text {

struct CorpusWord {
  std::string text;  // valid UTF-8
  uint64_t count = 0;
};

struct CorpusCounts {
  std::vector<CorpusWord> words;  // most frequent first, then by bytes
  uint64_t texts = 0, bytes = 0;  // as they came
  uint64_t occurrences = 0;       // of all words, the dropped ones too
  uint64_t replaced = 0;          // invalid parts of UTF-8
  // Counted and then let go, rarest first, because the distinct words grew past the cap.
  uint64_t dropped_words = 0, dropped_occurrences = 0;
};

// Counts in batches: the result depends on the texts and their order, not on threads. Not
// thread-safe.
class WordCounter {
 public:
  using Sink = std::function<void(std::string_view word)>;
  // Called by several threads at a time; the text is valid UTF-8.
  using Cut = std::function<void(std::string_view text, const Sink& word)>;

  WordCounter(Cut cut, size_t max_distinct, size_t threads);
  void add(std::string_view text);
  CorpusCounts finish();

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Counts = std::unordered_map<std::string, uint64_t, Hash, std::equal_to<>>;

  void count_batch();
  void drop_rare();

  Cut cut_;
  size_t max_distinct_;
  ThreadPool pool_;
  std::vector<std::string> batch_;
  size_t batch_bytes_ = 0;
  Counts counts_;
  CorpusCounts out_;
};

}  // namespace akin::text
