// Viterbi over byte positions, in float64 and with the ties of the reference (a later path must be
// strictly better). Where every path meets, the part before is emitted, so memory follows the
// longest stretch without such a point, not the text. Words go through a per-thread cache.
#include "text/unigram.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "text/unigram_cache.h"

namespace akin::text {
namespace {

constexpr double kUnknownPenalty = 10.0;
constexpr double kMaxScore = 1e30;                  // no sum over a text overflows
constexpr std::string_view kMeta = "\xE2\x96\x81";  // U+2581
constexpr uint32_t kUnset = 0xFFFFFFFF;
constexpr size_t kWindow = 2048;               // positions that are worked on at a time
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

// Scratch of a thread.
struct Unigram::Search {
  struct End {  // the best path that ends at a position
    double score;
    uint64_t back;  // where its last token starts, from the base of the window << 32 | the token
  };
  struct Step {
    uint32_t start, end, id;
  };
  std::vector<End> ends;
  std::vector<Step> steps;  // a part of the best path, last step first
  std::string piece;        // U+2581 and a word
  std::vector<SubToken> tokens;

  static Search& of_thread() {
    static thread_local Search search;
    return search;
  }
  void release_large() {
    if (ends.size() > kKeptEnds) ends = {};
    if (steps.capacity() > kKeptEnds) steps = {};
    if (piece.capacity() > kKeptEnds) piece = {};
  }
};

Unigram::Unigram(const UnigramVocab& vocab, const std::string& where) : unk_id_(vocab.unk_id) {
  if (vocab.tokens.empty() || vocab.tokens.size() >= UnigramTrie::kMaxKeys) {
    throw_error(ErrorKind::bad_format, where, "the vocabulary has {} tokens, expected 1 to {}",
                vocab.tokens.size(), UnigramTrie::kMaxKeys - 1);
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
  no_token_ = static_cast<uint32_t>(scores_.size());
  scores_.push_back(-std::numeric_limits<double>::infinity());
  unk_score_ = min_score - kUnknownPenalty;
  trie_ = UnigramTrie(vocab.tokens, no_token_);
  for (const std::string_view token : vocab.tokens) {
    max_token_bytes_ = std::max(max_token_bytes_, token.size());
  }
  if (vocab.byte_fallback) {
    for (int byte = 0; byte < 256; ++byte) {
      byte_ids_.push_back(token_id(fmt::format("<0x{:02X}>", byte)).value_or(-1));
    }
  }
  instance_ = WordCache::next_instance();
}

std::optional<int32_t> Unigram::token_id(std::string_view token) const {
  const auto id = trie_.find(token);
  if (!id) return std::nullopt;
  return static_cast<int32_t>(*id);
}

std::string_view Unigram::token(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= vocab_size()) return {};
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

// Extends the best paths that end before `stop` by every token, starting at `pos`. Positions are
// relative to the window. Returns the last position that every path goes through.
size_t Unigram::extend_paths(std::string_view window, size_t& pos, size_t stop, size_t cut,
                             size_t& reach, Search& search) const {
  Search::End* const ends = search.ends.data();
  const double* const scores = scores_.data();
  const auto* const bytes = reinterpret_cast<const uint8_t*>(window.data());
  const size_t size = window.size();
  const uint32_t none = no_token_;
  while (pos < stop) {
    const double here = ends[pos].score;
    cut = pos >= reach ? pos : cut;
    const size_t next = std::min(size, pos + character_bytes(window[pos]));
    const uint64_t start = static_cast<uint64_t>(pos) << 32;
    auto walk = trie_.walk();
    size_t i = pos;
    while (i < next && walk.step(bytes[i])) ++i;
    if (i < next || walk.id() == none) relax_unknown(window, pos, next, search);
    reach = std::max(reach, next);
    if (i == next) {
      for (;;) {
        // No branch on whether a token ends here: without one the score is -infinity.
        const uint32_t id = walk.id();
        const double score = here + scores[id];
        const bool better = score > ends[i].score;
        ends[i].score = better ? score : ends[i].score;
        ends[i].back = better ? start | id : ends[i].back;
        reach = id != none && i > reach ? i : reach;
        if (i == size || !walk.step(bytes[i])) break;
        ++i;
      }
    }
    pos = next;
  }
  return cut;
}

void Unigram::relax_unknown(std::string_view window, size_t pos, size_t next,
                            Search& search) const {
  if (!unk_id_) {
    throw_error(ErrorKind::bad_format, "tokenizer",
                "{} is not in the vocabulary and the model has no unk_id",
                quote(window.substr(pos, next - pos)));
  }
  const double score = search.ends[pos].score + unk_score_;
  if (score > search.ends[next].score) {
    search.ends[next] = {score, static_cast<uint64_t>(pos) << 32 | static_cast<uint32_t>(*unk_id_)};
  }
}

// The window slides over the piece: at its end, the part before the last point that every path
// goes through is emitted; it grows when there is no such point.
template <typename Emit>
void Unigram::best_path(std::string_view piece, Emit&& emit) const {
  constexpr double kNoPath = -std::numeric_limits<double>::infinity();
  Search& search = Search::of_thread();
  const auto unk = unk_id_ ? static_cast<uint32_t>(*unk_id_) : no_token_;
  size_t base = 0, pos = 0, reach = 0, cut = 0;  // all but base are relative to base
  size_t filled = 1;                             // ends[0, filled) are set up
  size_t capacity = std::max(kWindow, 4 * max_token_bytes_);
  uint32_t unknown_begin = kUnset, unknown_end = 0;
  if (search.ends.empty()) search.ends.resize(1);
  search.ends[0] = {0, 0};
  while (base + pos < piece.size()) {
    const size_t size = std::min(piece.size() - base, capacity);
    if (search.ends.size() < size + 1) search.ends.resize(size + 1);
    for (; filled <= size; ++filled) search.ends[filled] = {kNoPath, 0};
    const bool last = base + size == piece.size();
    // Not the last window: no token may be cut by its end.
    const size_t stop = last ? size : size - max_token_bytes_;
    cut = extend_paths(piece.substr(base, size), pos, stop, cut, reach, search);
    if (last) cut = size;
    if (cut == 0) {
      capacity *= 2;
      continue;
    }
    search.steps.clear();
    for (size_t end = cut; end > 0;) {
      const uint64_t back = search.ends[end].back;
      const auto start = static_cast<size_t>(back >> 32);
      search.steps.push_back({static_cast<uint32_t>(base + start),
                              static_cast<uint32_t>(base + end), static_cast<uint32_t>(back)});
      end = start;
    }
    for (auto step = search.steps.rbegin(); step != search.steps.rend(); ++step) {
      if (step->id == unk) {
        if (unknown_begin == kUnset) unknown_begin = step->start;
        unknown_end = step->end;
        continue;
      }
      if (unknown_begin != kUnset) emit_unknown(piece, unknown_begin, unknown_end, emit);
      unknown_begin = kUnset;
      emit(step->id, step->start, step->end);
    }
    if (last) break;
    slide_window(search, cut, filled);
    base += cut;
    pos -= cut;
    reach -= cut;
    filled -= cut;
    cut = 0;
  }
  if (unknown_begin != kUnset) emit_unknown(piece, unknown_begin, unknown_end, emit);
  search.release_large();
}

// Moves the paths that end at `cut` and after it to the front.
void Unigram::slide_window(Search& search, size_t cut, size_t filled) const {
  for (size_t i = cut; i < filled; ++i) {
    Search::End end = search.ends[i];
    if (i > cut) end.back -= static_cast<uint64_t>(cut) << 32;
    search.ends[i - cut] = end;
  }
}

void Unigram::tokenize(std::string_view piece, std::vector<SubToken>& out) const {
  AKIN_CHECK(piece.size() < kUnset);
  const bool prefixed = piece.starts_with(kMeta);
  const std::string_view word = prefixed ? piece.substr(kMeta.size()) : piece;
  if (word.size() > WordCache::kKeyBytes) {
    best_path(piece, [&out](uint32_t id, uint32_t begin, uint32_t end) {
      out.push_back({static_cast<int32_t>(id), begin, end});
    });
    return;
  }
  WordCache& cache = WordCache::of_thread(instance_);
  const auto key = WordCache::make_key(word, word.size(), prefixed);
  if (const auto* entry = cache.find(key)) {
    uint32_t at = 0;
    for (size_t i = 0; i < WordCache::kMaxTokens && entry->lengths[i] != 0; ++i) {
      out.push_back({entry->ids[i], at, at + entry->lengths[i]});
      at += entry->lengths[i];
    }
    return;
  }
  std::vector<SubToken>& tokens = Search::of_thread().tokens;
  tokens.clear();
  best_path(piece, [&tokens](uint32_t id, uint32_t begin, uint32_t end) {
    tokens.push_back({static_cast<int32_t>(id), begin, end});
  });
  cache.store(key, tokens, piece.size());
  out.insert(out.end(), tokens.begin(), tokens.end());
}

// The ids of a piece through the cache; text[begin, end) without the U+2581 that `prefixed` adds.
void Unigram::encode_word(std::string_view text, size_t begin, size_t end, bool prefixed,
                          WordCache& cache, std::vector<int32_t>& ids) const {
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
  if (word.size() > WordCache::kKeyBytes) {
    compute([&ids](uint32_t id, uint32_t, uint32_t) { ids.push_back(static_cast<int32_t>(id)); });
    return;
  }
  const auto key = WordCache::make_key(word, text.size() - begin, prefixed);
  if (const auto* entry = cache.find(key)) {
    for (size_t i = 0; i < WordCache::kMaxTokens && entry->lengths[i] != 0; ++i) {
      ids.push_back(entry->ids[i]);
    }
    return;
  }
  std::vector<SubToken>& tokens = Search::of_thread().tokens;
  tokens.clear();
  compute([&tokens](uint32_t id, uint32_t from, uint32_t to) {
    tokens.push_back({static_cast<int32_t>(id), from, to});
  });
  cache.store(key, tokens, word.size() + (prefixed ? kMeta.size() : 0));
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
  WordCache& cache = WordCache::of_thread(instance_);
  size_t begin = 0;         // of the piece, after its U+2581 if it has one
  bool prefixed = prepend;  // the piece has U+2581 in front
  bool literal = false;     // and that stands in the text, so that even an empty piece counts
  const auto finish = [&](size_t end) {
    if (end > begin || literal) encode_word(text, begin, end, prefixed, cache, ids);
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
  WordCache& cache = WordCache::of_thread(instance_);
  size_t begin = 0;
  bool prefixed = split.prepend, literal = false;
  const auto finish = [&](size_t end) {
    if (end > begin || literal) encode_word(text, begin, end, prefixed, cache, ids);
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
