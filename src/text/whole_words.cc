#include "text/whole_words.h"

#include <algorithm>

#include "text/byte_level.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

constexpr std::string_view kContinues = "##", kSpaceMark = "\xE2\x96\x81";  // U+2581

// Scripts that put no spaces between words.
bool is_unspaced(char32_t c) {
  return is_cjk_ideograph(c) || (c >= 0x3040 && c <= 0x30FF) ||         // kana
         (c >= 0x0E00 && c <= 0x0EFF) ||                                // Thai, Lao
         (c >= 0x1000 && c <= 0x109F) || (c >= 0x1780 && c <= 0x17FF);  // Burmese, Khmer
}

}  // namespace

WholeWords::WholeWords(const Tokenizer& tokenizer, const Tokenizer* segmenter)
    : tokenizer_(tokenizer),
      segmenter_(segmenter),
      word_piece_(tokenizer.model_type() == "WordPiece"),
      shapes_(tokenizer.vocab_size()) {
  for (size_t id = 0; id < shapes_.size(); ++id) shapes_[id] = shape_of(static_cast<int32_t>(id));
  for (const auto ids : {tokenizer.prefix_ids(), tokenizer.suffix_ids()}) {
    for (const int32_t id : ids) shapes_.at(static_cast<size_t>(id)).none = true;
  }
  if (const auto unk = tokenizer.unk_id()) shapes_.at(static_cast<size_t>(*unk)).none = true;
}

// The token's text without the mark of a space or a continuation; *begins: that a word begins.
std::string WholeWords::text_of(int32_t id, bool* begins) const {
  const std::string_view token = tokenizer_.token(id);
  size_t mark = 0;
  std::string bytes(token);
  if (word_piece_) {
    mark = token.starts_with(kContinues) ? kContinues.size() : 0;
    if (begins != nullptr) *begins = mark == 0;
    return bytes.substr(mark);
  }
  if (token.starts_with(kSpaceMark)) {
    mark = kSpaceMark.size();
  } else if (tokenizer_.model_type() != "Unigram") {
    bytes.clear();
    byte_level_decode(token, bytes);
    mark = std::min(bytes.find_first_not_of(" \n\t"), bytes.size());
  }
  if (begins != nullptr) *begins = mark > 0;
  return bytes.substr(mark);
}

WholeWords::Shape WholeWords::shape_of(int32_t id) const {
  Shape out;
  out.none = tokenizer_.token(id).empty() || tokenizer_.is_special(id);
  const std::string text = text_of(id, &out.begins);
  // Parts of characters, in byte-level vocabularies, join the others.
  out.first = out.last = Edge::letter;
  if (!is_valid_utf8(text)) return out;
  const auto edge = [](char32_t c) {
    if (is_unspaced(c)) return Edge::unspaced;
    return is_word_character(c) || is_combining_mark(c) ? Edge::letter : Edge::other;
  };
  const char* begin = text.data();
  if (!text.empty()) out.first = edge(next_code_point(begin));
  if (!text.empty()) out.last = edge(last_code_point(text.data() + text.size()));
  return out;
}

bool WholeWords::joins(const Shape& before, const Shape& shape) const {
  if (shape.begins || before.none || shape.none) return false;
  if (word_piece_) return shape.first != Edge::unspaced;
  return before.last == Edge::letter && shape.first == Edge::letter;
}

void WholeWords::split(std::span<const int32_t> ids, std::vector<uint32_t>& words) const {
  words.assign(ids.size(), kNone);
  static constexpr Shape kNothing{true, false, Edge::other, Edge::other};
  const auto shape = [&](size_t i) -> const Shape& {
    const auto id = static_cast<size_t>(ids[i]);
    return ids[i] >= 0 && id < shapes_.size() ? shapes_[id] : kNothing;
  };
  for (size_t i = 0; i < ids.size(); ++i) {
    if (shape(i).none) continue;
    const bool same = i > 0 && words[i - 1] != kNone && joins(shape(i - 1), shape(i));
    words[i] = same ? words[i - 1] : static_cast<uint32_t>(i);
  }
  if (segmenter_ != nullptr) {
    const auto unspaced = [&](size_t i) {
      return words[i] != kNone && shape(i).first == Edge::unspaced &&
             shape(i).last == Edge::unspaced;
    };
    for (size_t begin = 0, end = 0; begin < ids.size(); begin = std::max(end, begin + 1)) {
      end = begin;
      while (end < ids.size() && unspaced(end)) ++end;
      if (end > begin + 1) {
        segment(ids.subspan(begin, end - begin), std::span(words).subspan(begin, end - begin));
      }
    }
  }
  uint32_t number = 0, last = kNone;
  for (uint32_t& word : words) {
    if (word == kNone) {
      last = kNone;
      continue;
    }
    if (word != last) {
      last = word;
      ++number;
    }
    word = number - 1;
  }
}

// Tokens that begin within one piece of the segmenter are one word; `words` names each word by its
// first token, as it was for the first of them.
void WholeWords::segment(std::span<const int32_t> ids, std::span<uint32_t> words) const {
  std::string run;
  std::vector<size_t> begins;
  for (const int32_t id : ids) {
    begins.push_back(run.size());
    run += text_of(id);
  }
  const Encoding pieces = segmenter_->encode_with_offsets(run, false);
  size_t piece = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    bool same = i > 0;
    while (piece < pieces.end.size() && pieces.end[piece] <= begins[i]) {
      ++piece;
      same = false;
    }
    if (same) words[i] = words[i - 1];
  }
}

}  // namespace akin::text
