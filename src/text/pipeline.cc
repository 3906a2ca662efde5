#include "text/pipeline.h"

#include <algorithm>

#include "base/error.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

// Offsets are 32 bits and a normalizer may lengthen a text.
constexpr size_t kMaxTextBytes = size_t{1} << 30;
constexpr size_t kKeepBytes = size_t{1} << 20;

void check_size(std::string_view text) {
  if (text.size() > kMaxTextBytes) {
    throw_error(ErrorKind::too_long, "text", "{} bytes, at most {} can be tokenized at once",
                text.size(), kMaxTextBytes);
  }
}

NormalizedText from_bytes(std::string_view valid, uint32_t offset, bool tracking) {
  NormalizedText out;
  out.tracking = tracking;
  out.text = valid;
  if (!tracking) return out;
  out.spans.reserve(valid.size());
  const char* const base = valid.data();
  for (const char* p = base; p < base + valid.size();) {
    const auto begin = static_cast<uint32_t>(p - base);
    next_code_point(p);
    const auto end = static_cast<uint32_t>(p - base);
    out.spans.insert(out.spans.end(), end - begin, {offset + begin, offset + end});
  }
  return out;
}

}  // namespace

Pipeline::Pipeline(PipelineParts parts, std::string_view where) : parts_(std::move(parts)) {
  AKIN_CHECK(parts_.model != nullptr);
  vocab_size_ = std::max(parts_.model->vocab_size(),
                         static_cast<size_t>(int64_t{parts_.added.largest_id()} + 1));
  for (const auto* ids : {&parts_.post_processor.prefix, &parts_.post_processor.suffix}) {
    for (const int32_t id : *ids) {
      if (static_cast<size_t>(id) >= vocab_size_) {
        throw_error(ErrorKind::bad_format, where,
                    "the post-processor adds id {}, the vocabulary ends at {}", id,
                    vocab_size_ - 1);
      }
    }
  }
  needs_spans_ = parts_.pre_tokenizer && parts_.pre_tokenizer->needs_spans();
}

size_t Pipeline::encode(std::string_view text, bool add_special_tokens, std::vector<int32_t>& ids,
                        size_t* replaced) const {
  check_size(text);
  const size_t before = ids.size();
  const PostProcessor& post = parts_.post_processor;
  ids.reserve(before + post.prefix.size() + text.size() / 4 + post.suffix.size() + 4);
  if (add_special_tokens) ids.insert(ids.end(), post.prefix.begin(), post.prefix.end());
  if (is_valid_utf8(text)) {
    encode_valid(text, ids);
  } else {
    std::string repaired;
    const size_t count = repair_utf8(text, repaired);
    if (replaced != nullptr) *replaced += count;
    encode_valid(repaired, ids);
  }
  if (add_special_tokens) ids.insert(ids.end(), post.suffix.begin(), post.suffix.end());
  return ids.size() - before;
}

void Pipeline::encode_valid(std::string_view text, std::vector<int32_t>& ids) const {
  if (!parts_.added.may_match_raw(text)) {
    encode_segment(text, 0, ids);
    return;
  }
  std::vector<AddedTokens::Match> matches;
  parts_.added.find_raw(text, matches);
  uint32_t open = 0;
  for (const auto& match : matches) {
    encode_segment(text.substr(open, match.begin - open), open, ids);
    ids.push_back(match.id);
    open = match.end;
  }
  encode_segment(text.substr(open), open, ids);
}

void Pipeline::encode_segment(std::string_view text, uint32_t offset,
                              std::vector<int32_t>& ids) const {
  if (text.empty()) return;
  if (parts_.bert_fast && parts_.bert_fast->encode(text, ids)) return;
  if (parts_.unigram_fast && parts_.unigram_fast->encode(text, offset == 0, ids)) return;
  static thread_local SplitText split;
  static thread_local std::vector<SubToken> tokens;
  split.pieces.clear();
  split.text.clear();
  split.text.tracking = needs_spans_;
  prepare(from_bytes(text, offset, needs_spans_), {}, split);
  for (const Piece& piece : split.pieces) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
      continue;
    }
    tokens.clear();
    parts_.model->tokenize(split.view(piece), tokens);
    for (const SubToken& token : tokens) ids.push_back(token.id);
  }
  if (split.text.text.capacity() > kKeepBytes) split = {};
  if (tokens.capacity() > kKeepBytes) tokens = {};
}

void Pipeline::encode_general(std::string_view text, std::vector<int32_t>& ids) const {
  const Encoding encoding = encode_with_offsets(text, false);
  ids.insert(ids.end(), encoding.ids.begin(), encoding.ids.end());
}

// Cuts out the added tokens, normalizes what is between them, and pre-tokenizes it.
void Pipeline::prepare(NormalizedText original, const std::vector<AddedTokens::Match>& matches,
                       SplitText& split) const {
  const size_t most = most_normalized_bytes(original.text.size());
  if (matches.empty()) {
    const auto size = static_cast<uint32_t>(original.text.size());
    normalize_segment(std::move(original), 0, size, split);
  } else {
    uint32_t open = 0;
    const auto between = [&](uint32_t end) {
      NormalizedText segment;
      segment.tracking = original.tracking;
      segment.append_from(original, open, end);
      normalize_segment(std::move(segment), open, end, split);
      check_growth(split.text.text.size(), most);
    };
    for (const auto& match : matches) {
      between(match.begin);
      const auto at = static_cast<uint32_t>(split.text.text.size());
      split.text.append_from(original, match.begin, match.end);
      split.pieces.push_back({at, at + (match.end - match.begin), match.id,
                              original.source(match.begin, match.end), false});
      open = match.end;
    }
    between(static_cast<uint32_t>(original.text.size()));
  }
  split.text.limit = most;
  if (parts_.pre_tokenizer) parts_.pre_tokenizer->apply(split);
}

void Pipeline::normalize_segment(NormalizedText segment, uint32_t begin, uint32_t end,
                                 SplitText& out) const {
  if (begin == end) return;
  if (parts_.normalizer) parts_.normalizer->apply(segment);
  const auto base = static_cast<uint32_t>(out.text.text.size());
  const auto push = [&](uint32_t from, uint32_t to, int32_t id) {
    if (from == to) return;
    out.pieces.push_back({base + from, base + to, id, id >= 0 ? segment.source(from, to) : Span{},
                          begin == 0 && from == 0});
  };
  uint32_t open = 0;
  if (parts_.added.has_normalized()) {
    std::vector<AddedTokens::Match> matches;
    parts_.added.find_normalized(segment.text, matches);
    for (const auto& match : matches) {
      push(open, match.begin, -1);
      push(match.begin, match.end, match.id);
      open = match.end;
    }
  }
  push(open, static_cast<uint32_t>(segment.text.size()), -1);
  if (base == 0) {
    std::swap(out.text, segment);
  } else {
    out.text.append_from(segment, 0, segment.text.size());
  }
}

Encoding Pipeline::encode_with_offsets(std::string_view text, bool add_special_tokens) const {
  check_size(text);
  NormalizedText original;
  if (is_valid_utf8(text)) {
    original = from_bytes(text, 0, true);
  } else {
    original.tracking = true;
    repair_utf8(text, original.text, &original.spans);
  }
  std::vector<AddedTokens::Match> matches;
  parts_.added.find_raw(original.text, matches);
  SplitText split;
  split.text.tracking = true;
  prepare(std::move(original), matches, split);

  Encoding out;
  const auto add = [&](int32_t id, Span span, bool special) {
    out.ids.push_back(id);
    out.begin.push_back(span.begin);
    out.end.push_back(span.end);
    out.special.push_back(special ? 1 : 0);
  };
  const PostProcessor& post = parts_.post_processor;
  if (add_special_tokens) {
    for (const int32_t id : post.prefix) add(id, {}, true);
  }
  const size_t first = out.ids.size();
  std::vector<SubToken> tokens;
  for (const Piece& piece : split.pieces) {
    if (piece.id >= 0) {
      add(piece.id, trim(split.view(piece), piece.source, out.ids.size() == first), false);
      continue;
    }
    tokens.clear();
    parts_.model->tokenize(split.view(piece), tokens);
    for (const SubToken& token : tokens) {
      const Span span = split.text.source(piece.begin + token.begin, piece.begin + token.end);
      add(token.id, trim(parts_.model->token(token.id), span, out.ids.size() == first), false);
    }
  }
  if (add_special_tokens) {
    for (const int32_t id : post.suffix) add(id, {}, true);
  }
  return out;
}

// Leaves the blanks at both ends of a token out of its span, when the post-processor says so.
Span Pipeline::trim(std::string_view token, Span span, bool first) const {
  if (!parts_.post_processor.trim_offsets) return span;
  const auto is_blank = [](char32_t c) { return c == 0x120 || is_white_space(c); };  // 0x120: Ġ
  const char* const begin = token.data();
  const char* const end = begin + token.size();
  // In bytes of the original: a blank that the byte-level alphabet stands for is one.
  const auto original_bytes = [](char32_t c) { return c == 0x120 ? 1 : utf8_length(c); };
  uint32_t leading = 0, blanks = 0, trailing = 0;
  for (const char* p = begin; p < end; ++blanks) {
    const char32_t c = next_code_point(p);
    if (!is_blank(c)) break;
    leading += original_bytes(c);
  }
  for (const char* p = end; p > begin && is_blank(last_code_point(p));) {
    trailing += original_bytes(last_code_point(p));
    do {
      --p;
    } while ((static_cast<uint8_t>(*p) & 0xC0) == 0x80);
  }
  // One blank before the first token was put there, not found there.
  const bool own = (first || span.begin == 0) && parts_.post_processor.add_prefix_space;
  if (own && blanks == 1) leading = 0;
  span.begin = std::min(span.begin + leading, span.end);
  if (span.end >= trailing) span.end = std::max(span.end - trailing, span.begin);
  return span;
}

std::string Pipeline::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids) {
    if (const AddedToken* added = parts_.added.find(id)) {
      if (!(skip_special_tokens && added->special)) {
        tokens.emplace_back(parts_.added.decoded(*added));
      }
    } else if (id >= 0 && static_cast<size_t>(id) < parts_.model->vocab_size()) {
      tokens.emplace_back(parts_.model->token(id));
    }
  }
  if (parts_.decoder && !tokens.empty()) parts_.decoder->apply(tokens);
  std::string out;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && !parts_.decoder) out += ' ';
    out += tokens[i];
  }
  return out;
}

std::optional<int32_t> Pipeline::token_id(std::string_view token) const {
  if (const AddedToken* added = parts_.added.find(token)) return added->id;
  return parts_.model->token_id(token);
}

std::string_view Pipeline::token(int32_t id) const {
  if (const AddedToken* added = parts_.added.find(id)) return added->content;
  return parts_.model->token(id);
}

bool Pipeline::is_special(int32_t id) const {
  const AddedToken* added = parts_.added.find(id);
  return added != nullptr && added->special;
}

}  // namespace akin::text
