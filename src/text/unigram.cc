// Viterbi over characters, in float64 and with the ties of the reference (a later path must be
// strictly better). Where every path meets, the part before is emitted, so memory follows the
// longest stretch without such a point, not the text. Words go through a per-thread cache.
#include "text/unigram.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "text/unigram_cache.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

constexpr double kUnknownPenalty = 10.0;
constexpr double kMaxScore = 1e30;                  // no sum over a text overflows
constexpr std::string_view kMeta = "\xE2\x96\x81";  // U+2581
constexpr uint32_t kUnset = 0xFFFFFFFF;
constexpr size_t kWindow = 2048;               // positions that are worked on at a time
constexpr size_t kAhead = 6;                   // characters between a prefetch and its use
constexpr size_t kKeptEnds = size_t{1} << 16;  // scratch kept between calls

}  // namespace

// Scratch of a thread. Positions are characters, counted from the start of the window.
struct Unigram::Search {
  struct End {  // the best path that ends before a character
    double score;
    uint64_t back;  // where its last token starts << 32 | the token
  };
  struct Step {
    uint32_t start, end, id;
  };
  std::vector<uint32_t> codes;    // of the characters, then a 0
  std::vector<uint32_t> offsets;  // of the characters in the piece, then the end
  std::vector<End> ends;
  std::vector<Step> steps;  // a part of the best path, last step first

  static Search& of_thread() {
    static thread_local Search search;
    return search;
  }
  void reserve(size_t characters) {
    if (ends.size() > characters) return;
    codes.resize(characters + 1 + kAhead + 1);
    offsets.resize(characters + 1);
    ends.resize(characters + 1);
  }
  void release_large() {
    if (ends.size() > kKeptEnds) ends = {}, codes = offsets = {};
    if (steps.capacity() > kKeptEnds) steps = {};
  }
};

// The part of a piece that is worked on, and what is known of its paths.
struct Unigram::Window {
  size_t size = 0;   // characters
  size_t pos = 0;    // the first one that no token has been tried at
  size_t reach = 0;  // no path goes on after this one
  size_t cut = 0;    // the last one so far that every path goes through
};

Unigram::Unigram(const UnigramVocab& vocab, const std::string& where)
    : scores_(vocab.scores), unk_id_(vocab.unk_id), instance_(WordCache::next_instance()) {
  const size_t size = vocab.tokens.size();
  AKIN_CHECK(vocab.scores.size() == size);
  if (size == 0 || size > UnigramTrie::kMaxKeys) {
    throw_error(ErrorKind::bad_format, where, "the vocabulary has {} tokens, expected 1 to {}",
                size, UnigramTrie::kMaxKeys);
  }
  if (unk_id_ && (*unk_id_ < 0 || static_cast<size_t>(*unk_id_) >= size)) {
    throw_error(ErrorKind::bad_format, where, "unk_id is {}, but there are {} tokens", *unk_id_,
                size);
  }
  keep_tokens(vocab, where);
  double min_score = kMaxScore;
  for (size_t i = 0; i < size; ++i) {
    const double score = scores_[i];
    if (!(std::abs(score) <= kMaxScore)) {
      throw_error(ErrorKind::bad_format, where, "token {} has the score {}, expected a number", i,
                  score);
    }
    min_score = std::min(min_score, score);
    float_scores_ = float_scores_ && static_cast<double>(static_cast<float>(score)) == score;
  }
  unk_score_ = min_score - kUnknownPenalty;
  trie_ = UnigramTrie(vocab.tokens, scores_, where);
  if (vocab.byte_fallback) {
    for (int byte = 0; byte < 256; ++byte) {
      byte_ids_.push_back(token_id(fmt::format("<0x{:02X}>", byte)).value_or(-1));
    }
  }
}

void Unigram::keep_tokens(const UnigramVocab& vocab, const std::string& where) {
  begin_.reserve(vocab.tokens.size() + 1);
  for (const std::string_view token : vocab.tokens) {
    if (bytes_.size() + token.size() > 0xFFFFFFFF) {
      throw_error(ErrorKind::unsupported, where, "the vocabulary is larger than 4 GiB");
    }
    const auto begins = [](char c) { return (c & 0xC0) != 0x80; };
    if (!token.empty() && !begins(token.front())) {
      throw_error(ErrorKind::bad_format, where, "token {} is not UTF-8", begin_.size());
    }
    begin_.push_back(static_cast<uint32_t>(bytes_.size()));
    bytes_ += token;
    max_token_characters_ =
        std::max(max_token_characters_,
                 static_cast<size_t>(std::count_if(token.begin(), token.end(), begins)));
  }
  begin_.push_back(static_cast<uint32_t>(bytes_.size()));
  // Each token begins a character, so that all are valid when their concatenation is.
  if (!simdjson::validate_utf8(bytes_.data(), bytes_.size())) {
    throw_error(ErrorKind::bad_format, where, "the vocabulary is not UTF-8");
  }
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

// Tries every token at each character before `stop`. A window that holds the whole piece needs no
// cut, and not the work of finding it.
template <bool kFloatScores, bool kFindCut>
void Unigram::extend_paths(size_t stop, Window& window, Search& search) const {
  Search::End* const ends = search.ends.data();
  const uint32_t* const codes = search.codes.data();
  const UnigramTrie::Node* const nodes = trie_.nodes();
  const uint32_t root_base = nodes[UnigramTrie::kRoot].base;
  size_t reach = window.reach, cut = window.cut;
  for (size_t pos = window.pos; pos < stop; ++pos) {
    // The walk of a later character: its second step is the first one that misses the cache.
    const uint32_t ahead = nodes[root_base ^ codes[pos + kAhead]].base;
    __builtin_prefetch(nodes + (ahead ^ codes[pos + kAhead + 1]));
    const double here = ends[pos].score;
    const uint64_t start = static_cast<uint64_t>(pos) << 32;
    if constexpr (kFindCut) {
      cut = pos >= reach ? pos : cut;
      reach = std::max(reach, pos + 1);
    }
    uint32_t at = root_base ^ codes[pos];
    UnigramTrie::Node node = nodes[at];
    const bool known = node.parent == UnigramTrie::kRoot;
    if (!known || node.id == UnigramTrie::kNone) relax_unknown(pos, search);
    if (!known) continue;
    for (size_t i = pos + 1;; ++i) {
      // No branches: whether a token ends here, and whether it is better, cannot be foreseen.
      // Without a token the score is -infinity.
      double score = here + static_cast<double>(node.score);
      if constexpr (!kFloatScores) {
        if (node.id != UnigramTrie::kNone) score = here + scores_[node.id];
      }
      Search::End& target = ends[i];
      const uint64_t better = uint64_t{0} - static_cast<uint64_t>(score > target.score);
      target.back = (target.back & ~better) | ((start | node.id) & better);
      target.score = std::max(target.score, score);
      if constexpr (kFindCut) reach = node.id != UnigramTrie::kNone && i > reach ? i : reach;
      const uint32_t next = node.base ^ codes[i];  // the 0 after the last code leads nowhere
      if (nodes[next].parent != at) break;
      node = nodes[next];
      at = next;
    }
  }
  window.pos = stop;
  window.reach = reach;
  window.cut = cut;
}

// A character that is no token by itself may be the unknown token.
void Unigram::relax_unknown(size_t pos, Search& search) const {
  if (!unk_id_) {
    throw_error(ErrorKind::bad_format, "tokenizer",
                "the text has a character that is not in the vocabulary, and the model has no "
                "unk_id");
  }
  const double score = search.ends[pos].score + unk_score_;
  if (score > search.ends[pos + 1].score) {
    search.ends[pos + 1] = {score,
                            static_cast<uint64_t>(pos) << 32 | static_cast<uint32_t>(*unk_id_)};
  }
}

// Adds characters of the piece from `byte` on, up to `capacity`. Returns the byte after them.
size_t Unigram::fill_window(std::string_view piece, size_t byte, size_t capacity, Window& window,
                            Search& search) const {
  constexpr double kNoPath = -std::numeric_limits<double>::infinity();
  search.reserve(std::min(capacity, window.size + piece.size() - byte));
  size_t size = window.size;
  while (size < capacity && byte < piece.size()) {
    const Character character = character_at(piece, byte);
    search.codes[size] = trie_.code(character.codepoint);
    search.offsets[size] = static_cast<uint32_t>(byte);
    search.ends[size + 1] = {kNoPath, 0};
    byte += character.bytes;
    ++size;
  }
  std::fill_n(search.codes.begin() + static_cast<ptrdiff_t>(size), kAhead + 2, 0);
  search.offsets[size] = static_cast<uint32_t>(byte);
  window.size = size;
  return byte;
}

// Moves what comes after `window.cut` to the front.
void Unigram::slide_window(Window& window, Search& search) const {
  const size_t cut = window.cut;
  for (size_t i = cut; i <= window.size; ++i) {
    Search::End end = search.ends[i];
    if (i > cut) end.back -= static_cast<uint64_t>(cut) << 32;
    search.ends[i - cut] = end;
    search.codes[i - cut] = search.codes[i];
    search.offsets[i - cut] = search.offsets[i];
  }
  window = {window.size - cut, window.pos - cut, window.reach - cut, 0};
}

// The window slides over the piece: at its end, the part before the last character that every path
// goes through is emitted; it grows when there is no such character.
template <typename Emit>
void Unigram::best_path(std::string_view piece, Emit&& emit) const {
  Search& search = Search::of_thread();
  Window window;
  size_t capacity = std::max(kWindow, 4 * max_token_characters_);
  uint32_t unknown_begin = kUnset, unknown_end = 0;
  search.reserve(1);
  search.ends[0] = {0, 0};
  for (size_t byte = 0; byte < piece.size() || window.size != 0;) {
    byte = fill_window(piece, byte, capacity, window, search);
    const bool last = byte == piece.size();
    // Not the last window: no token may be cut by its end.
    const size_t stop = last ? window.size : window.size - max_token_characters_;
    const bool whole = last && window.pos == 0;
    if (float_scores_) {
      whole ? extend_paths<true, false>(stop, window, search)
            : extend_paths<true, true>(stop, window, search);
    } else {
      whole ? extend_paths<false, false>(stop, window, search)
            : extend_paths<false, true>(stop, window, search);
    }
    if (last) window.cut = window.size;
    if (window.cut == 0) {
      capacity *= 2;
      continue;
    }
    search.steps.clear();
    for (size_t end = window.cut; end > 0;) {
      const uint64_t back = search.ends[end].back;
      const auto start = static_cast<size_t>(back >> 32);
      search.steps.push_back(
          {search.offsets[start], search.offsets[end], static_cast<uint32_t>(back)});
      end = start;
    }
    for (size_t i = search.steps.size(); i-- > 0;) {  // they were noted from the end
      const auto& step = search.steps[i];
      if (unk_id_ && step.id == static_cast<uint32_t>(*unk_id_)) {
        if (unknown_begin == kUnset) unknown_begin = step.start;
        unknown_end = step.end;
        continue;
      }
      if (unknown_begin != kUnset) emit_unknown(piece, unknown_begin, unknown_end, emit);
      unknown_begin = kUnset;
      emit(step.id, step.start, step.end);
    }
    if (last) break;
    slide_window(window, search);
  }
  if (unknown_begin != kUnset) emit_unknown(piece, unknown_begin, unknown_end, emit);
  search.release_large();
}

void Unigram::tokenize_uncached(std::string_view piece, std::vector<SubToken>& out) const {
  best_path(piece, [&out](uint32_t id, uint32_t begin, uint32_t end) {
    out.push_back({static_cast<int32_t>(id), begin, end});
  });
}

void Unigram::tokenize(std::string_view piece, std::vector<SubToken>& out) const {
  AKIN_CHECK(piece.size() < kUnset);
  const bool prefixed = piece.starts_with(kMeta);
  const std::string_view word = prefixed ? piece.substr(kMeta.size()) : piece;
  if (word.size() > WordCache::kKeyBytes) {
    tokenize_uncached(piece, out);
    return;
  }
  WordCache& cache = WordCache::of_thread(instance_);
  const auto key = WordCache::make_key(word, word.size(), prefixed);
  if (cache.append(key, out)) return;
  const size_t before = out.size();
  tokenize_uncached(piece, out);
  cache.store(key, std::span(out).subspan(before), piece.size());
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
