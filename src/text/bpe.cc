// Merges through a heap of (rank, position), as the reference does it, so that even stale entries
// are judged alike. Short pieces go through a per-thread cache. Reading files is in bpe_load.cc.
#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <span>

#include "base/error.h"
#include "base/hash.h"
#include "text/unigram_cache.h"

namespace akin::text {
namespace {

constexpr int32_t kMaxId = (1 << 28) - 1;
constexpr uint32_t kNoPiece = 0xFFFFFFFF;

// Strings to ids: open addressing over one array, tokens kept in one block of bytes.
class TokenTable {
 public:
  explicit TokenTable(size_t count) : slots_(std::bit_ceil(2 * count + 2), -1) {}

  // The slot of a token: of itself when present, else of the free place for it.
  size_t slot(std::string_view token, const std::vector<std::string_view>& by_id) const {
    size_t at = hash64(token) & (slots_.size() - 1);
    while (slots_[at] >= 0 && by_id[static_cast<size_t>(slots_[at])] != token) {
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }
  int32_t& operator[](size_t at) { return slots_[at]; }
  int32_t operator[](size_t at) const { return slots_[at]; }

 private:
  std::vector<int32_t> slots_;  // -1: free
};

// (left, right) to (rank, merged id): open addressing.
class MergeTable {
 public:
  struct Merge {
    uint64_t pair = ~uint64_t{0};
    uint32_t rank = 0, id = 0;
  };
  explicit MergeTable(size_t count) : slots_(std::bit_ceil(2 * count + 2)) {}

  void set(uint32_t left, uint32_t right, uint32_t rank, uint32_t id) {
    const uint64_t pair = uint64_t{left} << 32 | right;
    slots_[slot(pair)] = {pair, rank, id};
  }
  const Merge* find(uint32_t left, uint32_t right) const {
    const uint64_t pair = uint64_t{left} << 32 | right;
    const Merge& merge = slots_[slot(pair)];
    return merge.pair == pair ? &merge : nullptr;
  }

 private:
  size_t slot(uint64_t pair) const {
    size_t at = (pair * 0x9E3779B97F4A7C15ULL >> 20) & (slots_.size() - 1);
    while (slots_[at].pair != pair && slots_[at].pair != ~uint64_t{0}) {
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }
  std::vector<Merge> slots_;
};

size_t character_bytes(char lead) {
  const auto byte = static_cast<uint8_t>(lead);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// Scratch of a thread.
struct Symbol {
  uint32_t id;
  uint32_t bytes;  // 0: merged into the one before
  uint32_t previous, next;
};
struct Candidate {
  uint64_t order;  // rank << 32 | position
  uint32_t id;     // what the pair would become
  bool operator>(const Candidate& other) const { return order > other.order; }
};
struct Scratch {
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
  std::string spelling;

  static Scratch& of_thread() {
    static thread_local Scratch scratch;
    return scratch;
  }
  void release_large() {
    constexpr size_t kKept = size_t{1} << 16;
    if (symbols.capacity() > kKept) symbols = {};
    if (heap.capacity() > kKept) heap = {};
  }
};

class Bpe final : public SubwordModel {
 public:
  Bpe(const BpeVocab& vocab, const BpeOptions& options, const std::string& where)
      : options_(options),
        table_(vocab.tokens.size()),
        merges_(vocab.merges.size()),
        instance_(WordCache::next_instance()) {
    add_tokens(vocab, where);
    add_merges(vocab, where);
    if (!options_.unk_token.empty()) {
      unk_id_ = token_id(options_.unk_token);
      if (!unk_id_) {
        throw_error(ErrorKind::bad_format, where, "unk_token {} is not in the vocabulary",
                    quote(options_.unk_token));
      }
    }
    if (options_.byte_fallback) {
      for (int byte = 0; byte < 256; ++byte) {
        byte_ids_.push_back(token_id(fmt::format("<0x{:02X}>", byte)).value_or(-1));
      }
    }
    plain_ = options_.continuing_subword_prefix.empty() && options_.end_of_word_suffix.empty();
    for (uint32_t c = 0; c < kDirect; ++c) {
      char bytes[2] = {static_cast<char>(c), 0};
      if (c >= 0x80) {
        bytes[0] = static_cast<char>(0xC0 | c >> 6);
        bytes[1] = static_cast<char>(0x80 | (c & 0x3F));
      }
      direct_[c] = token_id({bytes, c < 0x80 ? size_t{1} : size_t{2}}).value_or(-1);
    }
  }

  void tokenize(std::string_view piece, std::vector<SubToken>& out) const override {
    if (piece.empty()) return;
    AKIN_CHECK(piece.size() < kNoPiece);
    if (piece.size() > WordCache::kKeyBytes) {
      merge_piece(piece, out);
      return;
    }
    WordCache& cache = WordCache::of_thread(instance_);
    const auto key = WordCache::make_key(piece, piece.size(), false);
    if (cache.append(key, out)) return;
    const size_t before = out.size();
    merge_piece(piece, out);
    cache.store(key, std::span(out).subspan(before), piece.size());
  }
  size_t vocab_size() const override { return by_id_.size(); }
  std::optional<int32_t> token_id(std::string_view token) const override {
    const int32_t id = table_[table_.slot(token, by_id_)];
    if (id < 0) return std::nullopt;
    return id;
  }
  std::string_view token(int32_t id) const override {
    if (id < 0 || static_cast<size_t>(id) >= by_id_.size()) return {};
    return by_id_[static_cast<size_t>(id)];
  }
  std::optional<int32_t> unk_id() const override { return unk_id_; }
  std::string_view type() const override { return "BPE"; }

 private:
  static constexpr uint32_t kDirect = 0x200;  // code points whose token is looked up in an array
  static constexpr uint32_t kNone = 0xFFFFFFFF;

  void add_tokens(const BpeVocab& vocab, const std::string& where);
  void add_merges(const BpeVocab& vocab, const std::string& where);
  void merge_piece(std::string_view piece, std::vector<SubToken>& out) const;
  void split_characters(std::string_view piece, Scratch& scratch) const;
  int32_t character_id(std::string_view piece, size_t pos, size_t bytes, Scratch& scratch) const;
  bool add_bytes(std::string_view character, Scratch& scratch) const;
  void merge_symbols(Scratch& scratch) const;

  BpeOptions options_;
  std::string bytes_;                    // all tokens, back to back
  std::vector<std::string_view> by_id_;  // into bytes_; empty for an id that is not used
  TokenTable table_;
  MergeTable merges_;
  std::vector<int32_t> byte_ids_;  // of "<0x00>".., empty without byte fallback
  int32_t direct_[kDirect];
  std::optional<int32_t> unk_id_;
  bool plain_ = true;  // neither prefix nor suffix
  uint32_t instance_;
};

void Bpe::add_tokens(const BpeVocab& vocab, const std::string& where) {
  size_t total = 0;
  int32_t largest = -1;
  for (const auto& [token, id] : vocab.tokens) {
    // A few unused ids are fine; an id far beyond the number of tokens is a lie.
    if (id < 0 || id > kMaxId || static_cast<size_t>(id) > 4 * vocab.tokens.size() + 65536) {
      throw_error(ErrorKind::bad_format, where, "token {} has id {}, with {} tokens in all",
                  quote(token), id, vocab.tokens.size());
    }
    largest = std::max(largest, id);
    total += token.size();
  }
  if (largest < 0) throw_error(ErrorKind::bad_format, where, "the vocabulary is empty");
  bytes_.reserve(total);
  by_id_.resize(static_cast<size_t>(largest) + 1);
  for (const auto& [token, id] : vocab.tokens) {
    if (token.empty()) continue;
    std::string_view& place = by_id_[static_cast<size_t>(id)];
    if (!place.empty()) {
      throw_error(ErrorKind::bad_format, where, "tokens {} and {} have the same id {}",
                  quote(place), quote(token), id);
    }
    bytes_ += token;
    place = std::string_view(bytes_).substr(bytes_.size() - token.size());
    table_[table_.slot(token, by_id_)] = id;
  }
}

void Bpe::add_merges(const BpeVocab& vocab, const std::string& where) {
  const auto id_of = [&](std::string_view token, size_t rank) {
    const auto id = token_id(token);
    if (!id) {
      throw_error(ErrorKind::bad_format, where, "merge {}: token {} is not in the vocabulary", rank,
                  quote(token));
    }
    return static_cast<uint32_t>(*id);
  };
  const size_t prefix = options_.continuing_subword_prefix.size();
  std::string merged;
  for (size_t rank = 0; rank < vocab.merges.size(); ++rank) {
    const auto& [left, right] = vocab.merges[rank];
    const uint32_t left_id = id_of(left, rank), right_id = id_of(right, rank);
    if (right.size() < prefix) {
      throw_error(ErrorKind::bad_format, where, "merge {}: {} is shorter than the prefix {}", rank,
                  quote(right), quote(options_.continuing_subword_prefix));
    }
    merged.assign(left);
    merged += right.substr(prefix);
    merges_.set(left_id, right_id, static_cast<uint32_t>(rank), id_of(merged, rank));
  }
}

void Bpe::merge_piece(std::string_view piece, std::vector<SubToken>& out) const {
  if (options_.ignore_merges) {
    if (const auto id = token_id(piece)) {
      out.push_back({*id, 0, static_cast<uint32_t>(piece.size())});
      return;
    }
  }
  Scratch& scratch = Scratch::of_thread();
  split_characters(piece, scratch);
  merge_symbols(scratch);
  const auto size = static_cast<uint32_t>(piece.size());
  uint32_t at = 0;
  for (const Symbol& symbol : scratch.symbols) {
    if (symbol.bytes == 0) continue;
    // The bytes of a prefix or suffix count when they fall back to byte tokens.
    const uint32_t end = std::min(at + symbol.bytes, size);
    out.push_back({static_cast<int32_t>(symbol.id), at, end});
    at = end;
  }
  scratch.release_large();
}

// The token of one character with its prefix or suffix, or -1; then scratch.spelling is what was
// looked for.
int32_t Bpe::character_id(std::string_view piece, size_t pos, size_t bytes,
                          Scratch& scratch) const {
  const std::string_view character = piece.substr(pos, bytes);
  if (plain_) {
    const auto a = static_cast<uint8_t>(character[0]);
    uint32_t c = a;
    if (bytes == 2) c = (a & 0x1Fu) << 6 | (static_cast<uint8_t>(character[1]) & 0x3Fu);
    if (bytes <= 2 && c < kDirect && direct_[c] >= 0) return direct_[c];
    scratch.spelling.assign(character);
  } else {
    scratch.spelling.clear();
    if (pos != 0) scratch.spelling += options_.continuing_subword_prefix;
    scratch.spelling += character;
    if (pos + bytes == piece.size()) scratch.spelling += options_.end_of_word_suffix;
  }
  return token_id(scratch.spelling).value_or(-1);
}

bool Bpe::add_bytes(std::string_view character, Scratch& scratch) const {
  if (byte_ids_.empty()) return false;
  const auto id_of = [&](char c) { return byte_ids_[static_cast<uint8_t>(c)]; };
  if (!std::all_of(character.begin(), character.end(), [&](char c) { return id_of(c) >= 0; })) {
    return false;
  }
  for (const char c : character) {
    scratch.symbols.push_back({static_cast<uint32_t>(id_of(c)), 1, kNone, kNone});
  }
  return true;
}

// One symbol a character. As in the reference, an unknown character waits for the next known one
// (so that fuse_unk can lengthen it) while the bytes of byte fallback do not wait for it.
void Bpe::split_characters(std::string_view piece, Scratch& scratch) const {
  std::vector<Symbol>& symbols = scratch.symbols;
  symbols.clear();
  uint32_t unknown_bytes = 0;
  const auto flush = [&] {
    if (unknown_bytes == 0) return;
    symbols.push_back({static_cast<uint32_t>(*unk_id_), unknown_bytes, kNone, kNone});
    unknown_bytes = 0;
  };
  for (size_t pos = 0; pos < piece.size();) {
    const size_t bytes = std::min(character_bytes(piece[pos]), piece.size() - pos);
    if (const int32_t id = character_id(piece, pos, bytes, scratch); id >= 0) {
      flush();
      symbols.push_back({static_cast<uint32_t>(id), static_cast<uint32_t>(bytes), kNone, kNone});
    } else if (!add_bytes(scratch.spelling, scratch) && unk_id_) {
      if (!options_.fuse_unk) flush();
      unknown_bytes += static_cast<uint32_t>(bytes);
    }
    pos += bytes;
  }
  flush();
  for (size_t i = 0; i < symbols.size(); ++i) {
    symbols[i].previous = i == 0 ? kNone : static_cast<uint32_t>(i - 1);
    symbols[i].next = i + 1 == symbols.size() ? kNone : static_cast<uint32_t>(i + 1);
  }
}

void Bpe::merge_symbols(Scratch& scratch) const {
  std::vector<Symbol>& symbols = scratch.symbols;
  std::vector<Candidate>& heap = scratch.heap;
  heap.clear();
  const auto consider = [&](uint32_t left, uint32_t right) {
    const auto* merge = merges_.find(symbols[left].id, symbols[right].id);
    if (merge) heap.push_back({uint64_t{merge->rank} << 32 | left, merge->id});
    return merge != nullptr;
  };
  for (uint32_t i = 0; i + 1 < symbols.size(); ++i) consider(i, i + 1);
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const Candidate top = heap.back();
    heap.pop_back();
    const auto position = static_cast<uint32_t>(top.order);
    Symbol& left = symbols[position];
    if (left.bytes == 0 || left.next == kNone) continue;
    Symbol& right = symbols[left.next];
    const auto* merge = merges_.find(left.id, right.id);
    if (!merge || merge->id != top.id) continue;  // the pair has changed since
    left.id = top.id;
    left.bytes += right.bytes;
    right.bytes = 0;
    left.next = right.next;
    if (left.next != kNone) symbols[left.next].previous = position;
    const auto push = [&](uint32_t a, uint32_t b) {
      if (consider(a, b)) std::push_heap(heap.begin(), heap.end(), std::greater<>());
    };
    if (left.previous != kNone) push(left.previous, position);
    if (left.next != kNone) push(position, left.next);
  }
}

}  // namespace

std::unique_ptr<SubwordModel> make_bpe(const BpeVocab& vocab, const BpeOptions& options,
                                       const std::string& where) {
  return std::make_unique<Bpe>(vocab, options, where);
}

}  // namespace akin::text
