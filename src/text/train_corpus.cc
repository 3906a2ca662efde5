#include "text/train_corpus.h"

#include <algorithm>

#include "base/error.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

std::vector<std::pair<char32_t, uint64_t>> count_characters(const std::vector<CorpusWord>& words) {
  std::vector<uint64_t> counts(0x110000);
  for (const CorpusWord& word : words) {
    const char* const end = word.text.data() + word.text.size();
    for (const char* p = word.text.data(); p < end;) counts[next_code_point(p)] += word.count;
  }
  std::vector<std::pair<char32_t, uint64_t>> out;
  for (char32_t c = 0; c < counts.size(); ++c) {
    if (counts[c] > 0) out.emplace_back(c, counts[c]);
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return out;
}

void choose_alphabet(const std::vector<CorpusWord>& words, double coverage, size_t limit,
                     TrainingCorpus& corpus) {
  const auto characters = count_characters(words);
  corpus.distinct_characters = characters.size();
  for (const auto& [c, count] : characters) corpus.characters += count;
  const size_t most = limit == 0 ? kMaxAlphabet : std::min(limit, kMaxAlphabet);
  const double wanted = coverage * static_cast<double>(corpus.characters);
  for (const auto& [c, count] : characters) {
    if (corpus.alphabet.size() == most) break;
    if (coverage < 1 && static_cast<double>(corpus.covered_characters) >= wanted) break;
    corpus.alphabet.push_back(c);
    corpus.alphabet_counts.push_back(count);
    corpus.covered_characters += count;
  }
}

}  // namespace

std::string TrainingCorpus::text(std::span<const Symbol> word) const {
  std::string out;
  for (const Symbol symbol : word) append_utf8(alphabet[symbol - 1U], out);
  return out;
}

TrainingCorpus make_training_corpus(const std::vector<CorpusWord>& words, double coverage,
                                    size_t limit) {
  TrainingCorpus corpus;
  choose_alphabet(words, coverage, limit, corpus);
  if (corpus.alphabet.empty()) {
    throw_error(ErrorKind::usage, "corpus", "there is no text in it to train on");
  }
  std::vector<Symbol> numbers(0x110000);
  for (size_t i = 0; i < corpus.alphabet.size(); ++i) {
    numbers[corpus.alphabet[i]] = static_cast<Symbol>(i + 1);
  }
  const auto close = [&](uint64_t count) {
    if (corpus.symbols.size() == (corpus.begin.empty() ? 0 : corpus.begin.back())) return;
    corpus.symbols.push_back(0);
    corpus.begin.push_back(static_cast<uint32_t>(corpus.symbols.size()));
    corpus.counts.push_back(count);
  };
  corpus.begin.push_back(0);
  for (const CorpusWord& word : words) {
    if (corpus.symbols.size() + word.text.size() > 0xFFFF0000U) {
      throw_error(ErrorKind::usage, "corpus",
                  "its distinct words have more than 4 G characters; lower --max-words");
    }
    const char* const end = word.text.data() + word.text.size();
    for (const char* p = word.text.data(); p < end;) {
      const Symbol symbol = numbers[next_code_point(p)];
      if (symbol != 0) {
        corpus.symbols.push_back(symbol);
      } else {
        close(word.count);
      }
    }
    close(word.count);
  }
  return corpus;
}

}  // namespace akin::text
