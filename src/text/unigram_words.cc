// Cuts a text into words as Metaspace does, and takes them through the word cache, without writing
// the pieces out. Looks at eight bytes at a time; an inner loop over the bytes of a word would
// mispredict its end at every word.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "text/unigram.h"
#include "text/unigram_cache.h"

namespace akin::text {
namespace {

constexpr std::string_view kMeta = "\xE2\x96\x81";  // U+2581
constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x8080808080808080;

bool starts_with_meta(std::string_view text, size_t pos) {
  return text.size() - pos >= kMeta.size() &&
         std::memcmp(text.data() + pos, kMeta.data(), kMeta.size()) == 0;
}

// Bytes of the Unicode White_Space character at pos, or 0.
size_t whitespace_bytes(std::string_view text, size_t pos) {
  const auto at = [&](size_t i) {
    return pos + i < text.size() ? static_cast<uint8_t>(text[pos + i]) : uint8_t{0};
  };
  const uint8_t a = at(0), b = at(1), c = at(2);
  if (a == ' ' || (a >= 9 && a <= 13)) return 1;
  if (a == 0xC2) return b == 0x85 || b == 0xA0 ? 2 : 0;
  if (a == 0xE1) return b == 0x9A && c == 0x80 ? 3 : 0;
  if (a == 0xE3) return b == 0x80 && c == 0x80 ? 3 : 0;
  if (a != 0xE2) return 0;
  if (b == 0x81) return c == 0x9F ? 3 : 0;
  return b == 0x80 && ((c >= 0x80 && c <= 0x8A) || c == 0xA8 || c == 0xA9 || c == 0xAF) ? 3 : 0;
}

// The high bit of each byte of `x` that is below n (n <= 128); exact up to the first one.
constexpr uint64_t bytes_below(uint64_t x, uint64_t n) { return (x - n * kOnes) & ~x & kHigh; }
constexpr uint64_t bytes_equal(uint64_t x, uint64_t c) { return bytes_below(x ^ (c * kOnes), 1); }

// The first byte at or after pos for which `stops` (of eight bytes) or `stop` (of one) holds.
template <typename Stops, typename Stop>
size_t scan(std::string_view text, size_t pos, Stops stops, Stop stop) {
  if constexpr (std::endian::native == std::endian::little) {
    for (; text.size() - pos >= 8; pos += 8) {
      uint64_t bytes;
      std::memcpy(&bytes, text.data() + pos, 8);
      const uint64_t found = stops(bytes);
      if (found != 0) return pos + static_cast<size_t>(std::countr_zero(found)) / 8;
    }
  }
  while (pos < text.size() && !stop(static_cast<uint8_t>(text[pos]))) ++pos;
  return pos;
}

// Bytes that may begin U+2581, and ' '.
size_t scan_meta(std::string_view text, size_t pos) {
  return scan(
      text, pos, [](uint64_t bytes) { return bytes_equal(bytes, ' ') | bytes_equal(bytes, 0xE2); },
      [](uint8_t byte) { return byte == ' ' || byte == 0xE2; });
}

// Bytes that may begin U+2581 or white space: all that are not ASCII, and the ASCII up to ' '.
size_t scan_whitespace(std::string_view text, size_t pos) {
  return scan(
      text, pos, [](uint64_t bytes) { return bytes_below(bytes, ' ' + 1) | (bytes & kHigh); },
      [](uint8_t byte) { return byte <= ' ' || byte >= 0x80; });
}

// How far to go from a byte that is not ASCII: 0 when it may begin U+2581 or white space.
struct StepTable {
  std::array<uint8_t, 256> step{};
  constexpr StepTable() {
    for (size_t c = 0; c < 256; ++c) step[c] = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    for (const uint8_t c : {9, 10, 11, 12, 13, 32, 0xC2, 0xE1, 0xE2, 0xE3}) step[c] = 0;
  }
};
constexpr StepTable kSteps;

// The words of a text on their way through the cache: a few are kept waiting while their entries
// come from memory.
class WordQueue {
 public:
  WordQueue(const Unigram& model, WordCache& cache, std::string_view text,
            std::vector<int32_t>& ids)
      : model_(model), cache_(cache), text_(text), ids_(ids) {}

  // text[begin, end), without the U+2581 that `prefixed` adds.
  void add(size_t begin, size_t end, bool prefixed) {
    if (count_ == kWaiting) finish_one();
    Word& word = words_[(first_ + count_++) % kWaiting];
    word.begin = begin;
    word.size = end - begin;
    word.prefixed = prefixed;
    if (word.size > WordCache::kKeyBytes) return;
    word.key = WordCache::make_key(text_.substr(begin, word.size), text_.size() - begin, prefixed);
    cache_.prefetch(word.key);
  }
  void finish() {
    while (count_ != 0) finish_one();
    flush();
  }

 private:
  static constexpr size_t kWaiting = 4, kBuffer = 64;
  struct Word {
    size_t begin, size;
    bool prefixed;
    WordCache::Key key;
  };

  void finish_one() {
    const Word& word = words_[first_];
    first_ = (first_ + 1) % kWaiting;
    --count_;
    const bool cached = word.size <= WordCache::kKeyBytes;
    const auto* entry = cached ? cache_.find(word.key) : nullptr;
    if (entry == nullptr) {
      compute(word, cached);
      return;
    }
    // All ids are written, those that count are kept: no branch on how many there are.
    std::memcpy(buffer_ + filled_, entry->ids, sizeof entry->ids);
    filled_ += size_t{1} + (entry->lengths[1] != 0) + (entry->lengths[2] != 0);
    if (filled_ > kBuffer - WordCache::kMaxTokens) flush();
  }

  void compute(const Word& word, bool cached) {
    static thread_local std::string joined;
    static thread_local std::vector<SubToken> tokens;
    std::string_view piece = text_.substr(word.begin, word.size);
    if (word.prefixed) {
      joined.assign(kMeta);
      joined += piece;
      piece = joined;
    }
    tokens.clear();
    model_.tokenize_uncached(piece, tokens);
    if (cached) cache_.store(word.key, tokens, piece.size());
    flush();
    for (const SubToken& token : tokens) ids_.push_back(token.id);
    constexpr size_t kKept = size_t{1} << 16;
    if (joined.capacity() > kKept) joined = {};
    if (tokens.capacity() > kKept) tokens = {};
  }

  void flush() {
    ids_.insert(ids_.end(), buffer_, buffer_ + filled_);
    filled_ = 0;
  }

  const Unigram& model_;
  WordCache& cache_;
  std::string_view text_;
  std::vector<int32_t>& ids_;
  Word words_[kWaiting];
  size_t first_ = 0, count_ = 0;
  int32_t buffer_[kBuffer];
  size_t filled_ = 0;
};

// WhitespaceSplit, then Metaspace on each word: a word may hold U+2581 of its own.
void whitespace_split(std::string_view text, bool prepend, WordQueue& queue) {
  size_t begin = 0;         // of the piece, after its U+2581 if it has one
  bool prefixed = prepend;  // the piece has U+2581 in front
  bool literal = false;     // and that stands in the text, so that even an empty piece counts
  const auto finish = [&](size_t end) {
    if (end > begin || literal) queue.add(begin, end, prefixed);
  };
  size_t pos = 0;
  while ((pos = scan_whitespace(text, pos)) < text.size()) {
    if (const size_t step = kSteps.step[static_cast<uint8_t>(text[pos])]; step != 0) {
      pos = std::min(pos + step, text.size());
    } else if (const size_t width = whitespace_bytes(text, pos); width != 0) {
      finish(pos);
      pos += width;
      begin = pos;
      prefixed = prepend;
      literal = false;
    } else if (starts_with_meta(text, pos)) {
      finish(pos);
      pos += kMeta.size();
      begin = pos;
      prefixed = literal = true;
    } else {
      ++pos;
    }
  }
  finish(text.size());
}

// Metaspace alone: ' ' and U+2581 both start a piece.
void metaspace_split(std::string_view text, WordSplit split, WordQueue& queue) {
  size_t begin = 0;
  bool prefixed = split.prepend, literal = false;
  const auto finish = [&](size_t end) {
    if (end > begin || literal) queue.add(begin, end, prefixed);
  };
  size_t pos = 0;
  while ((pos = scan_meta(text, pos)) < text.size()) {
    const bool space = text[pos] == ' ';
    if (!space && !starts_with_meta(text, pos)) {
      ++pos;
      continue;
    }
    finish(pos);
    pos += space ? 1 : kMeta.size();
    if (space && split.collapse_spaces) {
      while (pos < text.size() && text[pos] == ' ') ++pos;
    }
    begin = pos;
    prefixed = literal = true;
  }
  finish(text.size());
}

}  // namespace

void Unigram::encode_words(std::string_view text, WordSplit split,
                           std::vector<int32_t>& ids) const {
  AKIN_CHECK(text.size() < 0xFFFFFFFF - kMeta.size());  // offsets of 32 bits
  WordQueue queue(*this, WordCache::of_thread(instance_), text, ids);
  if (split.whitespace) {
    whitespace_split(text, split.prepend, queue);
  } else {
    metaspace_split(text, split, queue);
  }
  queue.finish();
}

}  // namespace akin::text
