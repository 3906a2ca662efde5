#include "text/bert_fast.h"

#include <bit>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>  // a word at a time: 16 bytes are classified, lower-cased and cut at once
#endif

#include "text/unicode.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

// A word of letters and digits at the start of up to 16 bytes, lower-cased and zero-padded.
struct ShortRun {
  uint64_t low, high;
  uint32_t length;  // 0 to 16
};

#if defined(__SSE2__)

alignas(16) constexpr uint8_t kKeep[32] = {255, 255, 255, 255, 255, 255, 255, 255,
                                           255, 255, 255, 255, 255, 255, 255, 255};

// Bytes of `v` in [first, first + count), as 0xFF.
inline __m128i in_range(__m128i v, char first, int count) {
  const __m128i shifted = _mm_sub_epi8(v, _mm_set1_epi8(first));
  // An unsigned compare: shifted <= count - 1.
  const __m128i most = _mm_set1_epi8(static_cast<char>(count - 1));
  return _mm_cmpeq_epi8(_mm_min_epu8(shifted, most), shifted);
}

inline ShortRun read_run(const char* p, size_t left, bool lowercase) {
  __m128i v;
  if (left >= 16) {
    v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  } else {
    alignas(16) char tail[16] = {};
    std::memcpy(tail, p, left);
    v = _mm_load_si128(reinterpret_cast<const __m128i*>(tail));
  }
  const __m128i upper = in_range(v, 'A', 26);
  const __m128i folded = _mm_or_si128(v, _mm_and_si128(upper, _mm_set1_epi8(0x20)));
  const __m128i alnum = _mm_or_si128(in_range(folded, 'a', 26), in_range(v, '0', 10));
  const auto mask = static_cast<uint32_t>(_mm_movemask_epi8(alnum));
  const auto length = static_cast<uint32_t>(std::countr_one(mask));
  const __m128i keep = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kKeep + 16 - length));
  const __m128i word = _mm_and_si128(lowercase ? folded : v, keep);
  return {static_cast<uint64_t>(_mm_cvtsi128_si64(word)),
          static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(word, word))), length};
}

#else

inline ShortRun read_run(const char* p, size_t left, bool lowercase) {
  char word[16] = {};
  ShortRun run{0, 0, 0};
  while (run.length < 16 && run.length < left) {
    const char c = p[run.length];
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (!((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9'))) break;
    word[run.length++] = lowercase ? lower : c;
  }
  std::memcpy(&run.low, word, 8);
  std::memcpy(&run.high, word + 8, 8);
  return run;
}

#endif

bool is_bert_space(char32_t c) { return is_white_space(c) && c != 0x0B && c != 0x0C && c != 0x85; }

}  // namespace

BertFast::BertFast(const WordPiece& model, const BertNormalizerOptions& options)
    : model_(model), options_(options) {
  std::string pool;
  for (char32_t c = 0; c < 128; ++c) {
    ascii_[c] = describe(c, pool);
    ends_word_[c] = ascii_[c].kind == Kind::space || ascii_[c].kind == Kind::isolated;
  }
}

BertFast::~BertFast() {
  for (auto& page : pages_) delete page.load();
}

int32_t BertFast::word_id(std::string_view word) const {
  std::vector<int32_t> ids;
  model_.append_ids(word, ids);
  return ids.size() == 1 ? ids[0] : -1;
}

// Runs the character through the steps of BertNormalizer, then classifies what came out.
BertFast::Entry BertFast::describe(char32_t c, std::string& pool) const {
  Entry entry;
  entry.pool_offset = 0;
  if (options_.clean_text) {
    if (is_bert_space(c)) {
      entry.kind = Kind::space;
      return entry;
    }
    if (c == 0 || c == 0xFFFD || is_other(c)) return entry;  // dropped
  }
  char32_t parts[kMaxDecomposition] = {c};
  const uint32_t count = options_.strip_accents ? decompose(c, false, parts) : 1;
  std::string out;
  size_t characters = 0, spaces = 0, punctuation = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (options_.strip_accents && is_nonspacing_mark(parts[i])) continue;
    char32_t lower[3] = {parts[i]};
    const uint32_t n = options_.lowercase ? to_lower(parts[i], lower) : 1;
    for (uint32_t k = 0; k < n; ++k) {
      append_utf8(lower[k], out);
      ++characters;
      spaces += is_white_space(lower[k]);
      punctuation += is_punctuation(lower[k]);
    }
    // A mark that stays may have to change places with its neighbours.
    if (options_.strip_accents && combining_class(parts[i]) != 0) entry.kind = Kind::decline;
  }
  if (entry.kind == Kind::decline || out.empty()) return entry;
  const bool spaced = options_.handle_chinese_chars && is_cjk_ideograph(c);
  if (characters == 1 && spaces == 1) {
    entry.kind = Kind::space;
  } else if (characters == 1 && (spaced || punctuation == 1)) {
    entry.kind = Kind::isolated;
    entry.id = word_id(out);
    if (entry.id < 0) entry.kind = Kind::decline;
  } else if (spaced || spaces + punctuation > 0 || out.size() > 255) {
    entry.kind = Kind::decline;
  } else {
    entry.length = static_cast<uint8_t>(out.size());
    entry.kind = out.size() <= 4 ? Kind::word : Kind::long_word;
    if (entry.kind == Kind::word) {
      std::memcpy(entry.bytes, out.data(), out.size());
    } else {
      entry.pool_offset = static_cast<uint32_t>(pool.size());
      pool += out;
    }
  }
  return entry;
}

const BertFast::Page& BertFast::build_page(uint32_t number) const {
  auto made = std::make_unique<Page>();
  for (uint32_t i = 0; i < 256; ++i) {
    const char32_t c = number << 8 | i;
    made->entries[i] = c >= 0xD800 && c < 0xE000 ? Entry{} : describe(c, made->pool);
  }
  const Page* expected = nullptr;
  if (pages_[number].compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel)) {
    return *made.release();
  }
  return *expected;  // another thread was first
}

// One pass over one text. Words wait in a short queue between being read and being looked up, so
// that the table slots they need are on their way from memory by then.
class BertFast::Reader {
 public:
  Reader(const BertFast& fast, std::string_view text, std::vector<int32_t>& ids)
      : fast_(fast), p_(text.data()), end_(text.data() + text.size()), ids_(ids) {}

  bool run() {
    while (p_ < end_) {
      const auto byte = static_cast<uint8_t>(*p_);
      if (byte == ' ') {
        ++p_;
        continue;
      }
      const ShortRun word = read_run(p_, static_cast<size_t>(end_ - p_), fast_.options_.lowercase);
      if (word.length != 0 && word.length < 16 && word_ends(p_ + word.length)) {
        p_ += word.length;
        push({word.low, word.high, word.length, 0});
        fast_.model_.prefetch(word.low, word.high);
      } else if (!(word.length == 0 && byte < 0x80 ? ascii(byte) : general())) {
        return false;
      }
    }
    drain();
    return true;
  }

 private:
  struct Waiting {
    uint64_t low, high;
    uint32_t length;  // 0: an id already
    int32_t id;
  };

  bool word_ends(const char* p) const {
    return p == end_ || fast_.ends_word_[static_cast<uint8_t>(*p)];
  }

  void push(const Waiting& waiting) {
    queue_[queued_++] = waiting;
    if (queued_ == queue_.size()) drain();
  }

  void drain() {
    for (size_t i = 0; i < queued_; ++i) {
      const Waiting& w = queue_[i];
      if (w.length == 0) {
        ids_.push_back(w.id);
      } else {
        look_up(w);
      }
    }
    queued_ = 0;
  }

  void look_up(const Waiting& w) {
    const int32_t id = fast_.model_.short_word(w.low, w.high);
    if (id >= 0 && w.length <= fast_.model_.max_chars_per_word()) [[likely]] {
      ids_.push_back(id);
      return;
    }
    char bytes[16];
    std::memcpy(bytes, &w.low, 8);
    std::memcpy(bytes + 8, &w.high, 8);
    fast_.model_.append_ids({bytes, w.length}, ids_);
  }

  // An ASCII character outside words.
  bool ascii(uint8_t byte) {
    const Entry& entry = fast_.ascii_[byte];
    if (entry.kind == Kind::isolated) {
      push({0, 0, 0, entry.id});
    } else if (entry.kind != Kind::space && entry.kind != Kind::drop) {
      return general();
    }
    ++p_;
    return true;
  }

  // The entry of the next character, which p is moved behind.
  const Entry& next(const char*& p, const Page** page) const {
    const auto byte = static_cast<uint8_t>(*p);
    if (byte < 0x80) {
      ++p;
      return fast_.ascii_[byte];
    }
    const char32_t c = next_code_point(p);
    const Page& found = fast_.page(c);
    *page = &found;
    return found.entries[c & 0xFF];
  }

  // Collects one word of any characters, then the blank or isolated character that ends it.
  bool general() {
    drain();
    word_.clear();
    const size_t most = 4 * fast_.model_.max_chars_per_word() + 4;  // longer ones are unknown
    const Page* page = nullptr;
    while (p_ < end_) {
      const char* next_p = p_;
      const Entry& entry = next(next_p, &page);
      switch (entry.kind) {
        case Kind::word:
          if (word_.size() < most) word_.append(entry.bytes, entry.length);
          break;
        case Kind::long_word:
          if (word_.size() < most) word_.append(page->pool, entry.pool_offset, entry.length);
          break;
        case Kind::drop:
          break;
        case Kind::space:
          p_ = next_p;
          flush();
          return true;
        case Kind::isolated:
          p_ = next_p;
          flush();
          ids_.push_back(entry.id);
          // Ideographs follow each other without blanks: stay here.
          if (p_ < end_ && static_cast<uint8_t>(*p_) < 0x80) return true;
          continue;
        case Kind::decline:
          return false;
      }
      p_ = next_p;
    }
    flush();
    return true;
  }

  void flush() {
    if (word_.empty()) return;
    // Below, length counts bytes; the limit in characters is checked by append_ids. A NUL (kept
    // when the text is not cleaned) would look like padding.
    if (word_.size() <= 16 && fast_.model_.max_chars_per_word() >= 16 &&
        word_.find('\0') == std::string::npos) {
      char bytes[16] = {};
      std::memcpy(bytes, word_.data(), word_.size());
      Waiting w{0, 0, static_cast<uint32_t>(word_.size()), 0};
      std::memcpy(&w.low, bytes, 8);
      std::memcpy(&w.high, bytes + 8, 8);
      look_up(w);
      word_.clear();
      return;
    }
    fast_.model_.append_ids(word_, ids_);
    word_.clear();
  }

  const BertFast& fast_;
  const char* p_;
  const char* end_;
  std::vector<int32_t>& ids_;
  std::array<Waiting, 32> queue_;
  size_t queued_ = 0;
  std::string word_;
};

bool BertFast::encode(std::string_view text, std::vector<int32_t>& ids) const {
  const size_t before = ids.size();
  if (Reader(*this, text, ids).run()) return true;
  ids.resize(before);
  return false;
}

}  // namespace akin::text
