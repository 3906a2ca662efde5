#include "text/wordpiece.h"

#include <bit>
#include <cstring>

#include "base/error.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

std::vector<ByteTrie::Key> trie_keys(const Vocabulary& vocabulary) {
  std::vector<ByteTrie::Key> keys;
  keys.reserve(vocabulary.entries().size());
  for (const auto& entry : vocabulary.entries()) keys.push_back({entry.token, entry.id});
  return keys;
}

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary, WordPieceOptions options, std::string_view where)
    : vocabulary_(std::move(vocabulary)),
      options_(std::move(options)),
      trie_(trie_keys(vocabulary_), where) {
  const auto unk = vocabulary_.find(options_.unk_token);
  if (!unk) {
    throw_error(ErrorKind::bad_format, where, "the unknown token {} is not in the vocabulary",
                quote(options_.unk_token));
  }
  unk_id_ = *unk;
  // Tokens that continue a word hang below the node of their prefix.
  continuing_node_ = ByteTrie::kRoot;
  has_continuing_ = true;
  for (const char c : options_.continuing_prefix) {
    has_continuing_ = has_continuing_ && trie_.step(continuing_node_, c);
  }
  fill_short_words();
}

void WordPiece::fill_short_words() {
  const auto& entries = vocabulary_.entries();
  const size_t slots = std::bit_ceil(entries.size() * 2 + 2);
  short_words_.resize(slots);
  short_mask_ = slots - 1;
  short_shift_ = 64 - std::countr_zero(slots);
  for (const auto& entry : entries) {
    if (entry.token.empty() || entry.token.size() > 16 ||
        entry.token.find('\0') != std::string_view::npos) {
      continue;
    }
    char bytes[16] = {};
    std::memcpy(bytes, entry.token.data(), entry.token.size());
    ShortWord word;
    std::memcpy(&word.low, bytes, 8);
    std::memcpy(&word.high, bytes + 8, 8);
    word.id = entry.id;
    size_t slot = short_slot(word.low, word.high);
    while (short_words_[slot].low != 0) slot = (slot + 1) & short_mask_;
    short_words_[slot] = word;
  }
}

template <typename Emit>
bool WordPiece::match(std::string_view word, Emit&& emit) const {
  uint32_t node = ByteTrie::kRoot;
  for (size_t begin = 0; begin < word.size();) {
    if (begin > 0) {
      if (!has_continuing_) return false;
      node = continuing_node_;
    }
    int32_t id = -1;
    const size_t length = trie_.longest(word.substr(begin), node, &id);
    if (length == 0) return false;
    emit(id, begin, begin + length);
    begin += length;
  }
  return true;
}

void WordPiece::tokenize(std::string_view piece, std::vector<SubToken>& out) const {
  const size_t before = out.size();
  const auto unknown = [&] {
    out.resize(before);
    out.push_back({unk_id_, 0, static_cast<uint32_t>(piece.size())});
  };
  if (piece.size() > options_.max_chars_per_word &&
      count_code_points(piece) > options_.max_chars_per_word) {
    return unknown();
  }
  const bool known = match(piece, [&](int32_t id, size_t begin, size_t end) {
    out.push_back({id, static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
  });
  if (!known) unknown();
}

void WordPiece::append_ids(std::string_view word, std::vector<int32_t>& ids) const {
  const size_t before = ids.size();
  const bool too_long = word.size() > options_.max_chars_per_word &&
                        count_code_points(word) > options_.max_chars_per_word;
  if (too_long || !match(word, [&](int32_t id, size_t, size_t) { ids.push_back(id); })) {
    ids.resize(before);
    ids.push_back(unk_id_);
  }
}

std::unique_ptr<SubwordModel> make_wordpiece(const JsonValue& model) {
  std::vector<Vocabulary::Entry> entries;
  const JsonValue vocab = model.at("vocab");
  const simdjson::dom::object object = vocab.as_object();
  entries.reserve(object.size());
  for (const auto [token, id] : object) {
    const auto value = id.get_int64();
    if (value.error() || value.value_unsafe() < 0 || value.value_unsafe() > INT32_MAX) {
      throw_error(ErrorKind::bad_format, vocab.where(),
                  "token {} has no id, expected a number of 0 or more", quote(token));
    }
    entries.push_back({token, static_cast<int32_t>(value.value_unsafe())});
  }
  WordPieceOptions options;
  options.unk_token = model.get("unk_token", options.unk_token);
  options.continuing_prefix = model.get("continuing_subword_prefix", options.continuing_prefix);
  const int64_t most = model.get("max_input_chars_per_word", 100);
  if (most < 0 || most > 1000000) {
    throw_error(ErrorKind::bad_format, model.where(),
                "max_input_chars_per_word is {}, expected 0 to 1000000", most);
  }
  options.max_chars_per_word = static_cast<size_t>(most);
  return std::make_unique<WordPiece>(Vocabulary(entries, vocab.where()), options, model.where());
}

}  // namespace akin::text
