// Viterbi over byte positions, in float64 and with the ties of the reference (a later path must be
// strictly better). Where every path meets, the part before is emitted, so memory follows the
// longest stretch without such a point, not the text. Words go through a per-thread cache.
#include "text/unigram.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace akin::text {
namespace {

constexpr double kUnknownPenalty = 10.0;
constexpr double kMaxScore = 1e30;                  // no sum over a text overflows
constexpr std::string_view kMeta = "\xE2\x96\x81";  // U+2581
constexpr uint32_t kUnset = 0xFFFFFFFF;
constexpr size_t kKeptEnds = size_t{1} << 16;  // scratch kept between calls

size_t character_bytes(char lead) {
  const auto byte = static_cast<uint8_t>(lead);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

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

// Bytes that may begin a separator: of words (white space) and of pieces (' ', U+2581).
struct SeparatorTables {
  std::array<bool, 256> whitespace{}, meta{};
  constexpr SeparatorTables() {
    for (const uint8_t c : {9, 10, 11, 12, 13, 32, 0xC2, 0xE1, 0xE2, 0xE3}) whitespace[c] = true;
    for (const uint8_t c : {32, 0xE2}) meta[c] = true;
  }
};
constexpr SeparatorTables kSeparators;

}  // namespace

// The best path that ends at a position.
struct Unigram::Search {
  struct End {
    double score;
    uint32_t start;  // kUnset: no path yet
    uint32_t id;
  };
  struct Step {
    uint32_t start, end, id;
  };
  std::vector<End> ends;    // indexed from the last point where all paths met
  std::vector<Step> steps;  // one stretch, last step first
  std::string piece;        // U+2581 and a word
  std::vector<int32_t> ids;
  std::vector<SubToken> tokens;

  static Search& of_thread() {
    static thread_local Search search;
    return search;
  }
  void release_large() {
    if (ends.size() > kKeptEnds) {
      ends = {};
      steps = {};
    }
    if (piece.capacity() > kKeptEnds) piece = {};
  }
};

// One word per slot, one cache line per word. A slot is overwritten by the next word that maps to
// it; the instance number keeps models apart.
struct Unigram::Cache {
  static constexpr size_t kSlots = size_t{1} << 14;
  static constexpr size_t kKeyBytes = 24, kMaxTokens = 7;
  struct alignas(64) Entry {
    uint64_t key[3];
    int32_t ids[kMaxTokens];
    uint32_t instance;            // 0: empty
    uint8_t lengths[kMaxTokens];  // bytes of each token; 0 ends the list
    uint8_t shape;                // key bytes, | kPrefixed for U+2581 + key
  };
  static_assert(sizeof(Entry) == 64);
  static constexpr uint8_t kPrefixed = 0x80;

  std::vector<Entry> entries = std::vector<Entry>(kSlots);

  static Cache& of_thread() {
    static thread_local Cache cache;
    return cache;
  }
  struct Key {
    uint64_t words[3] = {0, 0, 0};
    uint8_t shape;
  };
  // `readable` bytes may be read at data, at least size; size <= kKeyBytes.
  static Key make_key(const char* data, size_t size, size_t readable, bool prefixed) {
    Key key;
    key.shape = static_cast<uint8_t>(size | (prefixed ? kPrefixed : 0));
    if (size <= 8 && readable >= 8) {
      std::memcpy(key.words, data, 8);
      key.words[0] &= size == 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * size) - 1;
    } else {
      std::memcpy(key.words, data, size);
    }
    return key;
  }
  Entry& slot(const Key& key, uint32_t instance) {
    uint64_t h = (key.words[0] ^ instance) * 0x9E3779B97F4A7C15ULL;
    h = (h ^ (h >> 29) ^ key.words[1]) * 0xBF58476D1CE4E5B9ULL;
    h = (h ^ (h >> 32) ^ key.words[2] ^ key.shape) * 0x94D049BB133111EBULL;
    return entries[h >> (64 - 14)];
  }
  static bool holds(const Entry& entry, const Key& key, uint32_t instance) {
    return entry.instance == instance && entry.shape == key.shape && entry.key[0] == key.words[0] &&
           entry.key[1] == key.words[1] && entry.key[2] == key.words[2];
  }
  // Stores the tokens of a piece of `size` bytes, when they fit and cover it without overlap.
  static void store(Entry& entry, const Key& key, uint32_t instance,
                    const std::vector<SubToken>& tokens, size_t size) {
    if (tokens.size() > kMaxTokens || tokens.empty()) return;
    size_t at = 0;
    for (const SubToken& token : tokens) {
      if (token.begin != at || token.end <= at) return;
      at = token.end;
    }
    if (at != size) return;
    entry = {};
    std::memcpy(entry.key, key.words, sizeof entry.key);
    entry.instance = instance;
    entry.shape = key.shape;
    for (size_t i = 0; i < tokens.size(); ++i) {
      entry.ids[i] = tokens[i].id;
      entry.lengths[i] = static_cast<uint8_t>(tokens[i].end - tokens[i].begin);
    }
  }
};

Unigram::Unigram(const UnigramVocab& vocab, const std::string& where) : unk_id_(vocab.unk_id) {
  if (vocab.tokens.empty() || vocab.tokens.size() >= UnigramTrie::kNone) {
    throw_error(ErrorKind::bad_format, where, "the vocabulary has {} tokens, expected 1 to {}",
                vocab.tokens.size(), UnigramTrie::kNone - 1);
  }
  AKIN_CHECK(vocab.scores.size() == vocab.tokens.size());
  if (unk_id_ && (*unk_id_ < 0 || static_cast<size_t>(*unk_id_) >= vocab.tokens.size())) {
    throw_error(ErrorKind::bad_format, where, "unk_id is {}, but there are {} tokens", *unk_id_,
                vocab.tokens.size());
  }
  double min_score = kMaxScore;
  begin_.reserve(vocab.tokens.size() + 1);
  for (size_t i = 0; i < vocab.tokens.size(); ++i) {
    const double score = vocab.scores[i];
    if (!(std::abs(score) <= kMaxScore)) {
      throw_error(ErrorKind::bad_format, where, "token {} has the score {}, expected a number", i,
                  score);
    }
    min_score = std::min(min_score, score);
    if (bytes_.size() + vocab.tokens[i].size() > 0xFFFFFFFF) {
      throw_error(ErrorKind::unsupported, where, "the vocabulary is larger than 4 GiB");
    }
    begin_.push_back(static_cast<uint32_t>(bytes_.size()));
    bytes_ += vocab.tokens[i];
  }
  begin_.push_back(static_cast<uint32_t>(bytes_.size()));
  scores_ = vocab.scores;
  unk_score_ = min_score - kUnknownPenalty;
  trie_ = UnigramTrie(vocab.tokens);
  if (vocab.byte_fallback) {
    for (int byte = 0; byte < 256; ++byte) {
      byte_ids_.push_back(token_id(fmt::format("<0x{:02X}>", byte)).value_or(-1));
    }
  }
  static std::atomic<uint32_t> instances{0};
  instance_ = ++instances;
}

std::optional<int32_t> Unigram::token_id(std::string_view token) const {
  const auto id = trie_.find(token);
  if (!id) return std::nullopt;
  return static_cast<int32_t>(*id);
}

std::string_view Unigram::token(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= scores_.size()) return {};
  const auto i = static_cast<size_t>(id);
  return std::string_view(bytes_).substr(begin_[i], begin_[i + 1] - begin_[i]);
}

// A run of unknown characters: one token, or the bytes of the run.
template <typename Emit>
void Unigram::emit_unknown(std::string_view piece, uint32_t begin, uint32_t end, Emit& emit) const {
  const std::string_view run = piece.substr(begin, end - begin);
  if (const auto id = trie_.find(run)) {  // "<unk>" itself, or a run that is a token after all
    emit(*id, begin, end);
    return;
  }
  const auto known = [&](char c) { return byte_ids_[static_cast<uint8_t>(c)] >= 0; };
  if (!byte_ids_.empty() && std::all_of(run.begin(), run.end(), known)) {
    for (const char c : run) {
      emit(static_cast<uint32_t>(byte_ids_[static_cast<uint8_t>(c)]), begin, end);
    }
    return;
  }
  emit(static_cast<uint32_t>(*unk_id_), begin, end);
}

template <typename Emit>
void Unigram::best_path(std::string_view piece, Emit&& emit) const {
  using End = Search::End;
  Search& search = Search::of_thread();
  if (search.ends.size() < 256) search.ends.resize(256);
  const auto unk = unk_id_ ? static_cast<uint32_t>(*unk_id_) : UnigramTrie::kNone;
  const size_t size = piece.size();
  size_t base = 0, reach = 0;  // ends[i - base] is set up for base < i <= reach
  uint32_t unknown_begin = kUnset, unknown_end = 0;

  const auto take = [&](uint32_t start, uint32_t end, uint32_t id) {
    if (id == unk) {
      if (unknown_begin == kUnset) unknown_begin = start;
      unknown_end = end;
      return;
    }
    if (unknown_begin != kUnset) {
      emit_unknown(piece, unknown_begin, unknown_end, emit);
      unknown_begin = kUnset;
    }
    emit(id, start, end);
  };
  const auto flush = [&](size_t pos) {  // every path goes through pos
    const End& last = search.ends[pos - base];
    if (last.start == base) {
      take(last.start, static_cast<uint32_t>(pos), last.id);
    } else {
      search.steps.clear();
      for (size_t at = pos; at > base; at = search.ends[at - base].start) {
        const End& step = search.ends[at - base];
        search.steps.push_back({step.start, static_cast<uint32_t>(at), step.id});
      }
      for (auto it = search.steps.rbegin(); it != search.steps.rend(); ++it) {
        take(it->start, it->end, it->id);
      }
    }
    base = pos;
  };
  const auto relax = [&](size_t start, size_t end, double score, uint32_t id) {
    if (end > reach) {
      if (end - base >= search.ends.size()) search.ends.resize((end - base) * 2);
      for (size_t i = reach + 1; i <= end; ++i) search.ends[i - base].start = kUnset;
      reach = end;
    }
    End& target = search.ends[end - base];
    if (target.start == kUnset || score > target.score) {
      target = {score, static_cast<uint32_t>(start), id};
    }
  };

  double here = 0;
  for (size_t pos = 0; pos < size;) {
    if (pos != 0) here = search.ends[pos - base].score;
    if (pos == reach && pos != base) flush(pos);
    const size_t next = std::min(size, pos + character_bytes(piece[pos]));
    bool single = false;
    auto walk = trie_.walk();
    for (size_t i = pos; i < size && walk.step(static_cast<uint8_t>(piece[i]));) {
      ++i;
      if (walk.id() == UnigramTrie::kNone) continue;
      relax(pos, i, here + scores_[walk.id()], walk.id());
      single |= i == next;
    }
    if (!single) {
      if (!unk_id_) {
        throw_error(ErrorKind::bad_format, "tokenizer",
                    "{} is not in the vocabulary and the model has no unk_id",
                    quote(piece.substr(pos, next - pos)));
      }
      relax(pos, next, here + unk_score_, unk);
    }
    pos = next;
  }
  if (size != base) flush(size);
  if (unknown_begin != kUnset) emit_unknown(piece, unknown_begin, unknown_end, emit);
  search.release_large();
}

void Unigram::tokenize(std::string_view piece, std::vector<SubToken>& out) const {
  AKIN_CHECK(piece.size() < kUnset);
  const auto emit = [&out](uint32_t id, uint32_t begin, uint32_t end) {
    out.push_back({static_cast<int32_t>(id), begin, end});
  };
  const bool prefixed = piece.starts_with(kMeta);
  const std::string_view word = prefixed ? piece.substr(kMeta.size()) : piece;
  if (word.size() > Cache::kKeyBytes) {
    best_path(piece, emit);
    return;
  }
  const auto key = Cache::make_key(word.data(), word.size(), word.size(), prefixed);
  Cache::Entry& entry = Cache::of_thread().slot(key, instance_);
  if (Cache::holds(entry, key, instance_)) {
    uint32_t at = 0;
    for (size_t i = 0; i < Cache::kMaxTokens && entry.lengths[i] != 0; ++i) {
      out.push_back({entry.ids[i], at, at + entry.lengths[i]});
      at += entry.lengths[i];
    }
    return;
  }
  std::vector<SubToken>& tokens = Search::of_thread().tokens;
  tokens.clear();
  best_path(piece, [&](uint32_t id, uint32_t begin, uint32_t end) {
    tokens.push_back({static_cast<int32_t>(id), begin, end});
  });
  Cache::store(entry, key, instance_, tokens, piece.size());
  out.insert(out.end(), tokens.begin(), tokens.end());
}

// The ids of a piece through the cache; text[begin, end) without the U+2581 that `prefixed` adds.
void Unigram::encode_word(std::string_view text, size_t begin, size_t end, bool prefixed,
                          std::vector<int32_t>& ids) const {
  const std::string_view word = text.substr(begin, end - begin);
  const auto compute = [&](auto&& emit) {
    if (!prefixed) {
      best_path(word, emit);
      return;
    }
    std::string piece = std::move(Search::of_thread().piece);
    piece.assign(kMeta);
    piece += word;
    best_path(piece, emit);
    Search::of_thread().piece = std::move(piece);
  };
  if (word.size() > Cache::kKeyBytes) {
    compute([&ids](uint32_t id, uint32_t, uint32_t) { ids.push_back(static_cast<int32_t>(id)); });
    return;
  }
  const auto key = Cache::make_key(word.data(), word.size(), text.size() - begin, prefixed);
  Cache::Entry& entry = Cache::of_thread().slot(key, instance_);
  if (Cache::holds(entry, key, instance_)) {
    for (size_t i = 0; i < Cache::kMaxTokens && entry.lengths[i] != 0; ++i) {
      ids.push_back(entry.ids[i]);
    }
    return;
  }
  std::vector<SubToken>& tokens = Search::of_thread().tokens;
  tokens.clear();
  compute([&tokens](uint32_t id, uint32_t from, uint32_t to) {
    tokens.push_back({static_cast<int32_t>(id), from, to});
  });
  Cache::store(entry, key, instance_, tokens, word.size() + (prefixed ? kMeta.size() : 0));
  for (const SubToken& token : tokens) ids.push_back(token.id);
}

void Unigram::encode_words(std::string_view text, WordSplit split,
                           std::vector<int32_t>& ids) const {
  AKIN_CHECK(text.size() < kUnset - kMeta.size());
  if (split.whitespace) {
    encode_whitespace_split(text, split.prepend, ids);
  } else {
    encode_metaspace(text, split, ids);
  }
}

// WhitespaceSplit, then Metaspace on each word: a word may hold U+2581 of its own.
void Unigram::encode_whitespace_split(std::string_view text, bool prepend,
                                      std::vector<int32_t>& ids) const {
  size_t begin = 0;         // of the piece, after its U+2581 if it has one
  bool prefixed = prepend;  // the piece has U+2581 in front
  bool literal = false;     // and that stands in the text, so that even an empty piece counts
  const auto finish = [&](size_t end) {
    if (end > begin || literal) encode_word(text, begin, end, prefixed, ids);
  };
  for (size_t pos = 0; pos < text.size();) {
    if (!kSeparators.whitespace[static_cast<uint8_t>(text[pos])]) {
      ++pos;
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
void Unigram::encode_metaspace(std::string_view text, WordSplit split,
                               std::vector<int32_t>& ids) const {
  size_t begin = 0;
  bool prefixed = split.prepend, literal = false;
  const auto finish = [&](size_t end) {
    if (end > begin || literal) encode_word(text, begin, end, prefixed, ids);
  };
  for (size_t pos = 0; pos < text.size();) {
    const char c = text[pos];
    if (!kSeparators.meta[static_cast<uint8_t>(c)] || (c != ' ' && !starts_with_meta(text, pos))) {
      ++pos;
      continue;
    }
    finish(pos);
    pos += c == ' ' ? 1 : kMeta.size();
    if (c == ' ' && split.collapse_spaces) {
      while (pos < text.size() && text[pos] == ' ') ++pos;
    }
    begin = pos;
    prefixed = literal = true;
  }
  finish(text.size());
}

std::unique_ptr<SubwordModel> make_unigram(const JsonValue& model) {
  UnigramVocab vocab;
  const JsonValue list = model.at("vocab");
  const simdjson::dom::array items = list.as_array();
  vocab.tokens.reserve(items.size());
  vocab.scores.reserve(items.size());
  for (const simdjson::dom::element item : items) {
    simdjson::dom::array pair;
    std::string_view token;
    double score = 0;
    if (item.get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
        pair.at(0).get(token) != simdjson::SUCCESS || pair.at(1).get(score) != simdjson::SUCCESS) {
      throw_error(ErrorKind::bad_format, list.where(), "entry {} is not a [token, score] pair",
                  vocab.tokens.size());
    }
    vocab.tokens.push_back(token);
    vocab.scores.push_back(score);
  }
  if (const auto unk = model.find("unk_id")) {
    const int64_t id = unk->as_int();
    if (id < 0 || static_cast<uint64_t>(id) >= vocab.tokens.size()) {
      throw_error(ErrorKind::bad_format, unk->where(), "unk_id is {}, but there are {} tokens", id,
                  vocab.tokens.size());
    }
    vocab.unk_id = static_cast<int32_t>(id);
  }
  vocab.byte_fallback = model.get("byte_fallback", false);
  return std::make_unique<Unigram>(vocab, model.where());
}

}  // namespace akin::text
