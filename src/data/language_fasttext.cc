// A fastText classifier as a detector: the mean of the vectors of a text's words and of their
// character n-grams, then the labels' probabilities by a coding tree, softmax or sigmoids.
//
// Source  arXiv:1607.01759 (the classifier), arXiv:1612.03651 (quantised and pruned). Words, hashes
//         and the tree are made as fastText 0.9 makes them, so its models give its answers.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "data/fasttext_file.h"
#include "data/language.h"

namespace akin::data {
namespace {

constexpr std::string_view kEnd = "</s>";
constexpr size_t kMostBytes = 2048;  // of a text that are looked at

uint32_t hash_of(std::string_view text) {
  uint32_t hash = 2166136261U;
  for (const char c : text) {
    hash = (hash ^ static_cast<uint32_t>(static_cast<int8_t>(c))) * 16777619U;
  }
  return hash;
}

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

float sigmoid(float x) { return 1.0F / (1.0F + std::exp(-x)); }

// The coding tree over label counts: nodes below L are labels, node i is behind its children.
struct Tree {
  std::vector<std::array<uint32_t, 2>> children;  // of node L + i

  explicit Tree(const std::vector<int64_t>& counts) {
    const size_t labels = counts.size();
    std::vector<int64_t> all(2 * labels - 1, int64_t{1'000'000'000'000'000});
    std::copy(counts.begin(), counts.end(), all.begin());
    auto leaf = static_cast<ptrdiff_t>(labels) - 1;
    size_t node = labels;
    for (size_t i = labels; i < all.size(); ++i) {
      std::array<uint32_t, 2> pair{};
      for (auto& child : pair) {
        if (leaf >= 0 && all[static_cast<size_t>(leaf)] < all[node]) {
          child = static_cast<uint32_t>(leaf--);
        } else {
          child = static_cast<uint32_t>(node++);
        }
        AKIN_CHECK(child < i);
      }
      all[i] = all[pair[0]] + all[pair[1]];
      children.push_back(pair);
    }
  }
};

class FastText final : public LanguageDetector {
 public:
  explicit FastText(const std::filesystem::path& path)
      : file_(read_fasttext_file(path)), tree_(file_.label_counts) {}
  const std::vector<std::string>& names() const override { return file_.labels; }

  LanguageGuess detect(std::string_view text) const override {
    thread_local std::vector<uint32_t> rows;
    thread_local std::vector<float> hidden, chances;
    rows.clear();
    add_text(text.substr(0, kMostBytes), rows);
    if (rows.empty()) return {};
    hidden.assign(file_.input.cols(), 0.0F);
    for (const uint32_t row : rows) file_.input.add_row(row, hidden);
    for (float& value : hidden) value /= static_cast<float>(rows.size());
    label_chances(hidden, chances);
    const auto best = std::max_element(chances.begin(), chances.end());
    const double confidence = std::isfinite(*best) ? std::clamp<double>(*best, 0, 1) : 0;
    return {static_cast<size_t>(best - chances.begin()), confidence};
  }

 private:
  void add_text(std::string_view text, std::vector<uint32_t>& rows) const {
    thread_local std::vector<uint32_t> hashes;
    hashes.clear();
    constexpr std::string_view kSpaces(" \n\r\t\v\f\0", 7);
    while (true) {
      const size_t begin = text.find_first_not_of(kSpaces);
      if (begin == std::string_view::npos) break;
      text.remove_prefix(begin);
      const std::string_view word = text.substr(0, text.find_first_of(kSpaces));
      text.remove_prefix(word.size());
      add_word(word, rows);
      hashes.push_back(hash_of(word));
    }
    if (hashes.empty()) return;
    add_word(kEnd, rows);
    hashes.push_back(hash_of(kEnd));
    for (size_t i = 0; i < hashes.size() && file_.word_ngrams > 1; ++i) {
      uint64_t hash = signed_hash(hashes[i]);
      for (size_t j = i + 1; j < std::min<size_t>(hashes.size(), i + file_.word_ngrams); ++j) {
        hash = hash * 116049371U + signed_hash(hashes[j]);
        if (file_.bucket > 0) add_bucket(static_cast<uint32_t>(hash % file_.bucket), rows);
      }
    }
  }
  static uint64_t signed_hash(uint32_t hash) {
    return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(hash)));
  }

  void add_word(std::string_view word, std::vector<uint32_t>& rows) const {
    thread_local std::string key;
    key.assign(word);
    if (const auto at = file_.words.find(key); at != file_.words.end()) rows.push_back(at->second);
    if (word == kEnd || file_.max_chars == 0 || file_.bucket == 0) return;
    key.insert(0, 1, '<');
    key += '>';
    for (size_t i = 0; i < key.size(); ++i) {
      if (!continues(key[i])) add_ngrams(key, i, rows);
    }
  }

  // Those that begin at byte i; a lone "<" or ">" is none.
  void add_ngrams(std::string_view key, size_t i, std::vector<uint32_t>& rows) const {
    size_t end = i;
    for (uint32_t n = 1; end < key.size() && n <= file_.max_chars; ++n) {
      do ++end;
      while (end < key.size() && continues(key[end]));
      if (n < file_.min_chars || (n == 1 && (i == 0 || end == key.size()))) continue;
      add_bucket(hash_of(key.substr(i, end - i)) % file_.bucket, rows);
    }
  }

  void add_bucket(uint32_t bucket, std::vector<uint32_t>& rows) const {
    if (!file_.pruned) return rows.push_back(file_.word_count + bucket);
    if (const auto at = file_.kept.find(uint64_t{bucket} + 1)) {
      rows.push_back(file_.word_count + *at);
    }
  }

  float product(size_t row, const std::vector<float>& hidden) const {
    thread_local std::vector<float> values;
    values.assign(hidden.size(), 0.0F);
    file_.output.add_row(row, values);
    float sum = 0;
    for (size_t i = 0; i < hidden.size(); ++i) sum += values[i] * hidden[i];
    return sum;
  }

  void label_chances(const std::vector<float>& hidden, std::vector<float>& chances) const {
    const size_t labels = file_.labels.size();
    if (file_.loss == FastTextLoss::hierarchical) {
      chances.assign(labels + tree_.children.size(), 1.0F);
      for (size_t i = tree_.children.size(); i-- > 0;) {
        const float right = sigmoid(product(i, hidden));
        chances[tree_.children[i][0]] = chances[labels + i] * (1 - right);
        chances[tree_.children[i][1]] = chances[labels + i] * right;
      }
      chances.resize(labels);
      return;
    }
    chances.resize(labels);
    for (size_t i = 0; i < labels; ++i) chances[i] = product(i, hidden);
    if (file_.loss != FastTextLoss::softmax) {
      for (float& value : chances) value = sigmoid(value);
      return;
    }
    const float most = *std::max_element(chances.begin(), chances.end());
    float sum = 0;
    for (float& value : chances) sum += value = std::exp(value - most);
    for (float& value : chances) value /= sum;
  }

  const FastTextFile file_;
  const Tree tree_;
};

}  // namespace

std::unique_ptr<LanguageDetector> make_fasttext_detector(const std::filesystem::path& path) {
  return std::make_unique<FastText>(path);
}

}  // namespace akin::data
